# SPDX-License-Identifier: Apache-2.0
"""The measurements on one link: what is counted when, the sweep's grid, and links that are not what they are meant to be."""
import contextlib
import itertools
import types
import unittest
from unittest import mock

from harness import bench, links, measure, proxy


class Rounds(unittest.TestCase):
    """One link's measurements, of runs that are made up."""

    def setUp(self):
        self.peer = type("Peer", (), {"name": "tmpdump", "known_gaps": frozenset(), "command": lambda self, job: ["fetch"]})()
        self.bench = bench.Bench.__new__(bench.Bench)
        self.bench.name, self.bench.link, self.bench.ready, self.bench.scratch = "lambda", links.LINKS["lambda"], [self.peer], "/scratch"
        self.bench.seeds = itertools.count(1)
        self.bench.options = types.SimpleNamespace(tmpdump="tmpdump", quick=False, shape_object=bench.SHAPE_OBJECT)
        self.bench.shaped = contextlib.nullcontext
        self.runs, self.status = [], 0
        quiet = mock.patch.object(bench.peers, "say")
        quiet.start()
        self.addCleanup(quiet.stop)

    def once(self, peer, workload, seed, enter=(), command=None):
        self.runs.append((seed, command(None) if command else None))
        return measure.Cost(float(len(self.runs)), 1, 1, self.status, ""), {}, 10 + len(self.runs)

    def test_requests_are_counted_while_warming_up_and_times_afterwards(self):
        self.bench.once = self.once
        cell = {"runs": [], "failure": "", "gaps": "", "gets": None}
        for number in range(3):
            self.bench.round(number, [self.peer], None, {"peers": {"tmpdump": cell}}, types.SimpleNamespace(enter=[]))
        self.assertEqual(cell["gets"], 11)
        self.assertEqual([run["wall_s"] for run in cell["runs"]], [2.0, 3.0])

    def test_the_sweep_has_each_point_in_each_round(self):
        self.bench.once = self.once
        with mock.patch.object(bench, "Workload"):
            found = self.bench.sweep("tiny", 2)
        self.assertEqual((found["link"], found["workload"], found["rounds"]), ("lambda", "tiny", 2))
        grid = [(connections, mib) for mib in bench.SWEEP_MIB for connections in bench.SWEEP_CONNECTIONS]
        self.assertEqual([(point["connections"], point["range_mib"]) for point in found["points"]], grid)
        commands = {(c, m): ["fetch", "--connections", str(c), "--range-size", f"{m}MiB"] for c, m in grid}
        for point in found["points"]:
            # What is written down under a point was measured with its settings, once a round.
            measured = [self.runs[round(wall) - 1] for wall in point["wall_s"]]
            self.assertEqual([seed for seed, _ in measured], [1, 2])  # one weather a round
            for _, command in measured:
                self.assertEqual(command, commands[point["connections"], point["range_mib"]])
        self.assertNotEqual([command for _, command in self.runs[:len(grid)]], [command for _, command in self.runs[len(grid):]])

    def test_a_run_of_the_sweep_that_fails_ends_it(self):
        self.bench.once, self.status = self.once, 1
        with mock.patch.object(bench, "Workload"), self.assertRaisesRegex(RuntimeError, "the sweep failed"):
            self.bench.sweep("tiny", 1)

    RIGHT = {"first_byte_ms": 25.4, "slow_share": 0.02, "connection_mb_s": 59.0, "burst_mb_s": 295.0, "sustained_mb_s": 74.0,
             "cpu_s_per_gb": 0.2}

    def shape(self, *found):
        self.bench.proxy, self.bench.server = None, types.SimpleNamespace(endpoint="http://127.0.0.1:1")
        with mock.patch.object(proxy, "measure_shape", side_effect=found):
            return self.bench.shape()

    def test_a_link_of_another_shape_is_not_measured(self):
        self.assertEqual(self.shape(self.RIGHT), self.RIGHT)
        for key, wrong in (("connection_mb_s", 53.0), ("connection_mb_s", 67.0), ("burst_mb_s", 269.0), ("burst_mb_s", 331.0),
                           ("sustained_mb_s", 67.0), ("sustained_mb_s", 83.0), ("first_byte_ms", 24.0), ("first_byte_ms", 31.0),
                           ("slow_share", 0.0), ("slow_share", 0.06)):
            with self.subTest(key, wrong=wrong):
                found = {**self.RIGHT, key: wrong}
                self.assertEqual(len(proxy.misshapen(found, links.LINKS["lambda-tls"])), 1)
                with self.assertRaisesRegex(RuntimeError, f"lambda is not the link that it is meant to be: {key} is "):
                    self.shape(*[found] * bench.SHAPE_ATTEMPTS)
                self.assertEqual(self.shape(found, self.RIGHT), self.RIGHT)  # a busy moment
        self.bench.options.quick = True  # which says nothing about time
        self.assertEqual(self.shape({"first_byte_ms": 99.0}), {"first_byte_ms": 99.0})


if __name__ == "__main__":
    unittest.main()
