# SPDX-License-Identifier: Apache-2.0
"""Cold starts in a row, each with a /tmp of its own, against one Extensions API and one origin: nothing leaks, neither
files nor descriptors nor processes. Prints the times to ready, in order too, for the eye that looks for growth.

TMPDUMP_SOAK_STARTS=N: so many of each kind (default 40; nightly 2000).
"""
import json
import os
import random
import shutil
import signal
import time
from pathlib import Path

from extension_harness import archives, case
from extension_harness.api import NEXT, ExtensionsApi
from extension_harness.breaker import Breaker
from extension_harness.case import DEADLINE_S, PPOLL, until

STARTS = int(os.environ.get("TMPDUMP_SOAK_STARTS") or 40)
LATEST_KILL_S = 0.05  # a start takes about that long
KEPT = {"manifest", "lock"}  # of us in /tmp


def descriptors(pid="self"):
    return len(os.listdir(f"/proc/{pid}/fd")) - (pid == "self")  # the listing's own


def children():
    found = set()
    for task in Path("/proc/self/task").iterdir():
        found |= set(map(int, (task / "children").read_text().split()))
    return found


def distribution(title, seconds):
    times = sorted(seconds)
    shown = {name: times[round(part * (len(times) - 1))] * 1e3
             for name, part in (("fastest", 0), ("median", 0.5), ("90 %", 0.9), ("99 %", 0.99), ("slowest", 1))}
    print(f"{title}: {len(times)} times to ready, ms: " + ", ".join(f"{name} {ms:.1f}" for name, ms in shown.items()))
    for begin in range(0, len(seconds), max(1, -(-len(seconds) // 10))):  # in order: would a leak make it slower?
        part = sorted(seconds[begin:begin + max(1, -(-len(seconds) // 10))])
        print(f"  from start {begin + 1}: median {part[len(part) // 2] * 1e3:.1f} ms")


class SoakTest(case.ExtensionTest):
    def setUp(self):
        super().setUp()
        self.wanted = archives.entries(21, files=24, size=120_000)
        archives.write(self.archive, self.wanted)
        self.scratch = self.folder / "tmpdir"
        self.scratch.mkdir()
        (self.folder / "tmp").mkdir(exist_ok=True)
        self.origin = self.start_origin()
        self.api = self.start_api()
        self.nexts, self.seconds, self.at_rest = 0, [], set()
        self.chance = random.Random(case.SEED)

    def launch(self, number, endpoint, **variables):
        self.destination = self.folder / "tmp" / str(number)
        self.destination.mkdir(exist_ok=True)
        begin = time.monotonic()
        prefetch = case.Prefetch(self.settings(self.api, endpoint, TMPDUMP_LOG=None, TMPDIR=str(self.scratch), **variables))
        return prefetch, begin

    def live(self, prefetch, begin, said):
        """From its start to its end by SHUTDOWN."""
        line = prefetch.log.wait_for(said, DEADLINE_S)
        if said == "tmpdump.ready":
            self.seconds.append(line.at - begin)
        self.nexts += 1
        self.api.wait_for(NEXT, count=self.nexts)
        until(lambda: (prefetch.system_call() or [None])[0] == PPOLL, "at rest")
        self.at_rest.add((descriptors(prefetch.process.pid), prefetch.proc("Threads")))
        self.api.shut_down()
        self.assertEqual(prefetch.status(), 0, prefetch.log.text())
        self.assertFalse(prefetch.log.has('"level":"error"'), prefetch.log.text())

    def assert_tree(self, wanted):
        self.assertEqual(archives.difference(archives.found(self.destination), wanted), "")
        self.assertEqual(set(os.listdir(self.destination / ".tmpdump")), KEPT)
        shutil.rmtree(self.destination)

    def assert_nothing_leaked(self, before):
        self.assertEqual(os.listdir(self.scratch), [])
        self.assertEqual(os.listdir(self.folder / "tmp"), [])
        self.assertEqual(set(os.listdir(self.folder)), {"s3", "tmp", "tmpdir"})
        self.assertEqual(children(), {self.origin.process.pid})
        # The other side sees a connection's end a little later.
        until(lambda: self.state() == before, f"as before: {self.state()}, not {before}")
        self.assertEqual(len(self.at_rest), 1, f"(descriptors, threads) of the program at rest: {self.at_rest}")

    def state(self):
        """Descriptors and threads of this process, descriptors of the origin."""
        return descriptors(), len(os.listdir("/proc/self/task")), descriptors(self.origin.process.pid)

    def test_without_faults(self):
        before = self.state()
        for number in range(STARTS):
            self.live(*self.launch(number, self.origin.endpoint), "tmpdump.ready")
            self.assert_tree(self.wanted)
        distribution("without faults", self.seconds)
        self.assert_nothing_leaked(before)

    def test_with_faults(self):
        before = self.state()
        breaker = Breaker(int(self.origin.endpoint.rsplit(":", 1)[1]), case.SEED)
        ends = {"ready": 0, "killed, then ready": 0, "terminated, then ready": 0, "no archive": 0}
        try:
            for number in range(STARTS):
                kind = self.chance.choices(list(ends), (12, 3, 3, 2))[0]
                ends[kind] += 1
                if kind == "no archive":
                    self.live(*self.launch(number, breaker.endpoint, TMPDUMP_URI=f"s3://{case.BUCKET}/other.zip"),
                              "tmpdump.missing")
                    self.assert_tree({})
                    continue
                if kind != "ready":
                    self.cut_short(number, breaker, signal.SIGKILL if kind.startswith("killed") else signal.SIGTERM)
                self.live(*self.launch(number, breaker.endpoint), "tmpdump.ready")
                self.assert_tree(self.wanted)
        finally:
            breaker.close()
        distribution("with faults", self.seconds)
        print(f"  {breaker.cuts} connections cut; {json.dumps(ends)}")
        self.assertGreater(breaker.cuts, 0)
        self.assert_nothing_leaked(before)

    def cut_short(self, number, breaker, how):
        """Ended at a random moment; what is there by then is whole."""
        shared, self.api = self.api, ExtensionsApi()  # of its own: a request that waits for an event may be left there
        try:
            prefetch, _ = self.launch(number, breaker.endpoint)
            time.sleep(self.chance.uniform(0, LATEST_KILL_S))  # not to wait for something: the random moment
            prefetch.terminate(how)
            self.assertIn(prefetch.status(), (0, -how), prefetch.log.text())
        finally:
            self.api.close()
            self.api = shared
        self.assertEqual(archives.difference(archives.found(self.destination), self.wanted, partial=True), "")


if __name__ == "__main__":
    case.main()
