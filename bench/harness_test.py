# SPDX-License-Identifier: Apache-2.0
"""The benchmark's own parts must be able to say no: damaged trees, failing commands, archives checked by others."""
import os
import shutil
import struct
import tempfile
import unittest
import zipfile
import zlib
from pathlib import Path

import fetch
import first_request
import packed
import workloads
from harness import bench, goals, limits, measure, peers, plan, report, verify
from harness.zipwrite import DEFLATED, STORED, RepeatedBlock, ZipWriter


class Folder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)


class Verify(Folder):
    def setUp(self):
        super().setUp()
        archive = self.root / "tiny.zip"
        workloads.small_files(archive, 60, 4000, links=5)
        self.entries = verify.expected(archive)
        self.tree = self.root / "tree"
        with zipfile.ZipFile(archive) as zipped:
            for path, entry in self.entries.items():
                target = self.tree / path
                if entry.kind == "folder":
                    target.mkdir(parents=True, exist_ok=True)
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                if entry.kind == "link":
                    target.symlink_to(entry.target)
                else:
                    target.write_bytes(zipped.read(path))
                    target.chmod(entry.mode)
        self.file = "lib/07/file-00007.so.1"

    def assert_only(self, kind, *paths):
        self.assertEqual(verify.compare(self.tree, self.entries), {kind: list(paths)})

    def test_a_faithful_tree_passes_and_the_manifest_is_ignored(self):
        (self.tree / ".tmpdump").mkdir()
        (self.tree / ".tmpdump" / "manifest").write_text("x")
        self.assertEqual(verify.compare(self.tree, self.entries), {})

    def test_a_flipped_bit_is_found(self):
        content = bytearray((self.tree / self.file).read_bytes())
        content[len(content) // 2] ^= 1
        (self.tree / self.file).write_bytes(content)
        self.assert_only("content", self.file)

    def test_a_short_file_is_found(self):
        os.truncate(self.tree / self.file, self.entries[self.file].size - 1)
        self.assert_only("size", self.file)

    def test_a_wrong_mode_is_found(self):
        (self.tree / self.file).chmod(0o600)
        self.assert_only("mode", self.file)

    def test_a_missing_and_an_extra_file_are_found(self):
        (self.tree / self.file).rename(self.tree / "stray")
        self.assertEqual(verify.compare(self.tree, self.entries), {"missing": [self.file], "extra": ["stray"]})

    def test_a_link_that_became_a_file_is_found(self):
        link = "lib/02/file-00002.so"
        (self.tree / link).unlink()
        (self.tree / link).write_text("file-00002.so.1")
        self.assert_only("link", link)

    def test_a_link_elsewhere_is_found(self):
        link = "lib/02/file-00002.so"
        (self.tree / link).unlink()
        (self.tree / link).symlink_to("elsewhere")
        self.assert_only("link", link)


class Judge(unittest.TestCase):
    class Streaming:
        known_gaps = frozenset({"mode"})

    def judge(self, cost, problems):
        cell = {"runs": [], "failure": "", "gaps": ""}
        bench.judge(self.Streaming, cell, cost, problems, "/scratch")
        return cell

    def test_a_known_gap_is_told_and_any_other_difference_fails(self):
        done = measure.Cost(1, 1, 1, 0, "")
        self.assertIn("1 modes", self.judge(done, {"mode": ["a"]})["gaps"])
        self.assertIn("size", self.judge(done, {"mode": ["a"], "size": ["b"]})["failure"])

    def test_an_exit_code_fails_whatever_the_tree_looks_like(self):
        cell = self.judge(measure.Cost(1, 1, 1, 4, "tmpdump: archive is bad"), {})
        self.assertEqual(cell["failure"], "exit code 4: tmpdump: archive is bad")


class Measure(Folder):
    def run_it(self, command):
        timer = measure.compile_timer(self.root)
        return measure.run(timer, command, {"PATH": os.environ["PATH"]}, self.root)

    def test_exit_codes_and_signals_are_seen(self):
        self.assertEqual(self.run_it(["true"]).status, 0)
        self.assertEqual(self.run_it("false | true").status, 1)
        self.assertEqual(self.run_it("exit 3").status, 3)
        self.assertEqual(self.run_it("kill -9 $$").status, 137)
        self.assertNotEqual(self.run_it(["/does/not/exist"]).status, 0)

    def test_the_first_file_is_seen_when_it_is_whole(self):
        timer = measure.compile_timer(self.root)
        wanted = self.root / "dest" / "lib" / "x"
        (self.root / "dest").mkdir()

        def first_of(script):
            shutil.rmtree(self.root / "dest" / "lib", ignore_errors=True)
            cost = measure.run(timer, script, {"PATH": os.environ["PATH"]}, self.root, first=(wanted, 3))
            return cost.first_s, cost.wall_s

        for way in ("mkdir dest/lib; printf abc > dest/lib/x", "mkdir dest/lib; printf abc > y; mv y dest/lib/x"):
            seen, wall = first_of(f"{way}; sleep 0.3")
            self.assertLess(seen + 0.2, wall, way)
        # Half of it is not it, and a file that never comes is never seen.
        seen, wall = first_of("mkdir dest/lib; exec 3> dest/lib/x; printf ab >&3; sleep 0.3; printf c >&3; exec 3>&-")
        self.assertGreater(seen, 0.25)
        self.assertIsNone(first_of("mkdir dest/lib; printf ab > dest/lib/x")[0])

    def test_a_small_program_has_a_small_peak(self):
        self.assertLess(self.run_it(["true"]).rss_mb, 8)  # not this interpreter's


class FirstRequest(Folder):
    def measure(self, command):
        peer = type("Peer", (), {"name": "peer", "command": lambda self, job: command(job)})()
        return first_request.measure_all([peer], 2, self.root)

    def test_a_request_is_stamped_after_its_connection(self):
        figures, failures = self.measure(lambda job: f"exec curl -s {job.url}")
        self.assertEqual(failures, {})
        self.assertEqual(len(figures["peer"]), 2)
        for accepted, requested in figures["peer"]:
            self.assertLess(0, accepted)
            self.assertLessEqual(accepted, requested)

    def test_a_connection_without_a_request_is_a_failure(self):
        _, failures = self.measure(lambda job: f"exec 3<>/dev/tcp/{job.endpoint.removeprefix('http://').replace(':', '/')}")
        self.assertEqual(failures, {"peer": "connected and sent nothing"})


    def test_another_first_request_is_a_failure(self):
        peer = first_request.CurlRegister(self.root)
        peer.prepare()
        self.assertEqual(first_request.measure_all([peer], 1, self.root)[1], {})
        shutil.rmtree(self.root / "home")
        peer.command = lambda job: [peer.curl, "-s", job.url]
        self.assertEqual(first_request.measure_all([peer], 1, self.root)[1], {"curl-register": "asked for something else first"})


class Report(unittest.TestCase):
    def test_the_ratio_is_the_median_of_the_rounds(self):
        self.assertEqual(report.ratio([1, 2, 30], [2, 4, 10]), 0.5)

    def test_no_path_of_the_machine_is_in_the_command(self):
        arguments = ["--runs", "3", "--minio", "/somewhere/minio", "--output=/elsewhere", "--save"]
        self.assertEqual(fetch.command_line(arguments), "./dev bench --runs 3")

    def cell(self, **more):
        return {"link": "lambda", "setting": "2cores", "workload": "tiny", "cores": 2, "setup_s": 0.03, "rounds": 1, "date": "then",
                "decode_cpu_s": {"stock": 1.0}, "peers": {}, **more}

    def data(self, *cells):
        return {"cells": list(cells), "peers": {}, "workloads": {}, "shapes": {}, "absent": {}, "command": "./dev bench"}

    def test_the_limit_is_the_slower_of_arriving_and_decoding_and_the_set_up(self):
        small, large = {"size": {"stock": 30_000_000}}, {"size": {"stock": 450_000_000}}
        self.assertAlmostEqual(limits.limit_s(self.cell(), small, "stock"), 0.5 + 0.03)
        # 300 MB at 300 MB/s, 150 MB at 75 MB/s
        self.assertAlmostEqual(limits.limit_s(self.cell(), large, "stock"), 1.0 + 2.0 + 0.03)

    def test_a_later_run_replaces_its_own_cells_and_keeps_the_others(self):
        old = self.data(self.cell(date="then"), self.cell(link="free", date="then"))
        new = self.data(self.cell(date="now"))
        self.assertEqual([(cell["link"], cell["date"]) for cell in report.merged(old, new)["cells"]],
                         [("free", "then"), ("lambda", "now")])

    def test_failures_and_gaps_are_in_the_table(self):
        run = {"wall_s": 2.0, "cpu_s": 1.0, "rss_mb": 3.0, "first_s": 0.25}
        cell = self.cell(peers={"tmpdump": {"runs": [run], "failure": "", "gaps": "", "gets": 6},
                                "curl-bsdtar": {"runs": [], "failure": "exit code 1: no", "gaps": "", "gets": None}})
        data = self.data(cell)
        data["peers"] = {name: {"title": name, "form": "stock", "output": "tree"} for name in cell["peers"]}
        data["workloads"]["tiny"] = {"entries": 1, "unpacked": 9, "first": "a", "first_bytes": 1, "size": {"stock": 30_000_000}}
        text = report.table(data, cell)
        self.assertIn("| who | ready, s | limit, s | times its limit |", text)
        self.assertIn("| tmpdump | 2.00 [2.00..2.00] | 0.53 | 3.77 |  |  | 250 [250..250] |", text)
        self.assertEqual({line.count(" | ") for line in text.split("\n") if line.startswith("| ")}, {10})
        self.assertIn("| curl-bsdtar | failed |", text)
        self.assertIsNone(report.best_peer(data, cell))


    def test_a_goal_is_met_or_missed(self):
        def cell(link, workload, ours, theirs, peer):
            runs = {name: [{"wall_s": wall, "cpu_s": 1.0, "rss_mb": 60.0, "first_s": 0.05}]
                    for name, wall in (("tmpdump", ours), (peer, theirs))}
            return self.cell(link=link, workload=workload, peers={
                name: {"runs": found, "failure": "", "gaps": "", "gets": 1} for name, found in runs.items()})

        data = self.data(cell("lambda", "face", 1.0, 2.5, "s5cmd-ripunzip"), cell("free", "one", 2.0, 1.0, "curl"))
        data["peers"] = {"tmpdump": {"output": "tree"}, "curl": {"output": "file"}, "s5cmd-ripunzip": {"output": "tree"}}
        data["workloads"] = {name: {"size": {"stock": 1}} for name in ("face", "one")}
        self.assertEqual(goals.goals(data), [("face, lambda, 2cores: tmpdump / s5cmd-ripunzip", 0.4, 0.5),
                                             ("one, free, 2cores: tmpdump / curl", 2.0, 1.05),
                                             ("everywhere: peak RSS, MB", 60.0, goals.RSS_MB)])
        self.assertIn("tmpdump / curl | 2.000 | 1.050 | missed |", goals.markdown(data))


class Plan(unittest.TestCase):
    def test_what_is_asked_for_is_measured(self):
        self.assertIs(plan.cells(), plan.DEFAULT)
        self.assertEqual({cell.workload for cell in plan.cells(workloads=["many"])}, {"many"})
        self.assertEqual(plan.cells(["openblas"], ["free"]), [plan.Cell("free", "2cores", "openblas")])
        self.assertEqual(plan.cells(["face"], ["free"], ["1core"]), [plan.Cell("free", "1core", "face")])
        self.assertEqual(plan.shown_link(plan.DEFAULT), "lambda")
        self.assertEqual(plan.shown_link(plan.cells(["onnx"], ["600mbit", "free"])), "600mbit")


class Archives(Folder):
    def test_zip64_records_are_read_back(self):
        target = self.root / "zip64.zip"
        workloads.zip64(target, big=2, small=1)
        with zipfile.ZipFile(target) as archive:
            self.assertIsNone(archive.testzip())
            big = archive.getinfo("lib/libbig.so")
            with archive.open(big) as content:
                self.assertEqual(content.read(8), struct.pack("<Q", 0))
                content.seek(big.file_size // 2)
                self.assertEqual(content.read(8), struct.pack("<Q", 1))
        raw = target.read_bytes()
        self.assertIn(b"PK\6\6", raw[-200:])
        self.assertEqual(struct.unpack_from("<I", raw, 18)[0], 0xFFFFFFFF)

    def test_without_zip64_the_records_are_plain(self):
        repeated = RepeatedBlock(b"abc" * 1000)
        packed, size = repeated.sizes(3)
        target = self.root / "plain.zip"
        with open(target, "wb") as file, ZipWriter(file) as archive:
            archive.add("a", repeated.chunks(3), DEFLATED, repeated.crc(3), packed, size)
            archive.add("b", [b"123456789"], STORED, 0xCBF43926, 9, 9)
        with zipfile.ZipFile(target) as archive:
            self.assertIsNone(archive.testzip())
        self.assertNotIn(b"PK\6\6", target.read_bytes())

    def test_the_generated_archives_are_the_same_every_time(self):
        for number in range(2):
            workloads.small_files(self.root / str(number), 30, 3000, links=3)
        self.assertEqual((self.root / "0").read_bytes(), (self.root / "1").read_bytes())


class Packed(Folder):
    def test_what_packing_loses_is_found_and_a_link_for_a_duplicate_is_no_loss(self):
        stock = {"a": verify.Entry("file", 3, zlib.crc32(b"abc"), 0o644, ""), "b": verify.Entry("file", 3, zlib.crc32(b"abc"), 0o644, ""),
                 "c": verify.Entry("link", 0, 0, 0, "a")}
        (self.root / "a").write_bytes(b"abc")
        (self.root / "b").symlink_to("a")
        (self.root / "c").symlink_to("a")
        self.assertEqual(packed.lost(stock, self.root), {})
        self.assertEqual(verify.of_tree(self.root)["b"], verify.Entry("link", 0, 0, 0, "a"))
        (self.root / "a").write_bytes(b"abd")
        self.assertEqual(packed.lost(stock, self.root), {"file": ["a", "b"]})
        (self.root / "c").unlink()
        self.assertIn("link", packed.lost(stock, self.root))


class Peers(Folder):
    def test_a_peer_that_cannot_run_is_reported(self):
        ready, absent = peers.prepare(["tmpdump"], self.root, str(self.root / "no-such-program"))
        self.assertEqual(ready, [])
        self.assertIn("not built", absent["tmpdump"])


if __name__ == "__main__":
    unittest.main()
