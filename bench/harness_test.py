# SPDX-License-Identifier: Apache-2.0
"""The benchmark's own parts must be able to say no: damaged trees, failing commands, archives checked by others."""
import os
import shutil
import struct
import tempfile
import unittest
import zipfile
from pathlib import Path

import fetch
import first_request
import workloads
from harness import measure, peers, report, verify
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
        fetch.Bench.judge(type("Bench", (), {"scratch": Path("/scratch")}), self.Streaming, cell, cost, problems)
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
        options = fetch.options_of(["--quick", "--minio", "/somewhere/minio", "--output", "/elsewhere"])
        self.assertNotIn("/somewhere", fetch.command_line(options))
        self.assertNotIn("/elsewhere", fetch.command_line(options))


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


class Peers(Folder):
    def test_a_peer_that_cannot_run_is_reported(self):
        ready, absent = peers.prepare(["tmpdump"], self.root, str(self.root / "no-such-program"))
        self.assertEqual(ready, [])
        self.assertIn("not built", absent["tmpdump"])


if __name__ == "__main__":
    unittest.main()
