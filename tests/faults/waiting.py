# SPDX-License-Identifier: Apache-2.0
"""`tmpdump wait` under a fault, beside a daemon that does as it is told: it ends with the truth, soon."""
import os
import re
import subprocess
import time

from extension_harness import case
from faults.sweep import END_S, MOST_S, TIMED_OUT, WAIT_ERRORS, WAIT_OK, Wrong, not_started
from faults.table import NO_START, READY, TOLD
from support.manifest_daemon import Daemon

LISTED = ("list lib/ lib/a.so=b.so lib/b.so link@lib", "publish lib", "publish lib/a.so")
ALL = (*LISTED, "publish lib/b.so", "publish link")
NEVER_S = 0.2  # a wait's limit where nothing comes
NOTED_S = 1  # a waiter that has not been noted by then may be the one that could not be


class Waiting:
    """One story: the daemon's `orders` before the wait for `paths` (none: for all), what `then` does to it while somebody
    waits, and whether it is right to hear of success.
    """

    def __init__(self, test, name, orders, paths=(), then=None, dead=False, success=False, limit_s=MOST_S, number=0):
        self.name, self.orders, self.paths, self.then, self.dead = name, orders, paths, then, dead
        self.success, self.limit_s = success, limit_s
        self.destination = test.folder / f"{name.replace(' ', '-')}-{number}"
        self.report = test.folder / f"{self.destination.name}-calls"
        self.daemon = None
        test.addCleanup(self.end)

    def end(self):
        if self.daemon:
            self.daemon.kill()

    def start_daemon(self):
        """One for all runs, where nothing befalls it."""
        if not self.daemon or self.then:
            self.end()
            self.daemon = Daemon(case.build / "bin" / "manifest_daemon", self.destination, *self.orders)
            if self.dead:
                self.daemon.kill()

    def is_noted(self):
        entries = case.manifest.read(self.destination / ".tmpdump" / "manifest").entries
        return any(entry.first_wait for entry in entries)

    def counts(self):
        return dict((name, int(count)) for name, count in map(str.split, self.report.read_text().splitlines()))

    def run(self, call="all", nth=0, what="0"):
        """(status, what it said)"""
        self.fault = (call, nth, what)
        self.start_daemon()
        begin = time.monotonic()
        process = subprocess.Popen(
            [case.build / "bin" / "fault_injector", call, str(nth), str(what), self.report, case.tested("tmpdump"), "tmpdump",
             "wait", *self.paths, "--dest", self.destination, "--timeout", str(self.limit_s)],
            env={**os.environ, **case.SANITIZERS}, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            if self.then:
                try:
                    case.until(lambda: self.is_noted() or process.poll() is not None, "noted", NOTED_S)
                except AssertionError:
                    pass
                begin = time.monotonic()
                self.then(self.daemon)
            said, _ = process.communicate(timeout=END_S)
        except subprocess.TimeoutExpired:
            raise Wrong(f"still waits after {time.monotonic() - begin:.0f} s") from None
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
        return process.returncode, said

    def check(self, status, said, mute=False):
        """`mute`: its line may be what could not be written."""
        if re.search(case.REPORT, said):
            raise Wrong(f"a sanitizer found something: {said}")
        if status == WAIT_OK:
            if not self.success:
                raise Wrong("it heard of success")
            return READY
        if not_started(self.fault, status, said):
            return NO_START
        if status not in WAIT_ERRORS or not (mute or re.fullmatch("tmpdump: error: [^\n]+\n", said)):
            raise Wrong(f"{status}: {said!r}")
        if TIMED_OUT in said and self.limit_s == MOST_S:
            raise Wrong(f"it gave up before its time: {said!r}")
        return TOLD


def stories(test, number=0):
    """What a wait may meet."""
    def make(name, orders, **options):
        return Waiting(test, name, orders, number=number, **options)

    def finish(daemon):
        for order in (*ALL[len(LISTED):], "ready"):
            daemon.order(order)

    yield make("wait, ready", (*ALL, "ready"), success=True)
    yield make("wait for a file, there", ALL, paths=("link/a.so",), success=True)
    yield make("wait, never ready", LISTED, limit_s=NEVER_S)
    yield make("wait, daemon dead", LISTED, dead=True)
    yield make("wait for a file, comes", LISTED, paths=("lib/a.so",), then=finish, success=True)
    yield make("wait for a file, daemon dies", LISTED, paths=("lib/a.so",), then=Daemon.kill)
    yield make("wait for a file, fails", LISTED, paths=("lib/a.so",), then=lambda daemon: daemon.order("fail the reason"))
