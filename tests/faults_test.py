# SPDX-License-Identifier: Apache-2.0
"""Every system call that the extension makes fails once, with each error that the kernel may answer; and it is killed at
each of them. Whatever happens: what is visible is whole, who waits is told, and the next start comes to the good end.

    faults_test.py BUILD_FOLDER [--all [--docs]]

Without --all a part of the list: each call and each error, at some of its places; TMPDUMP_SEED chooses others. The table of
what came of it closes the output; --docs writes it to docs/faults.md, too.
"""
import random
import socket
import sys
import unittest
from collections import Counter

from extension_harness import archives, case
from extension_harness.api import NEXT
from faults.pulse import Pulse
from faults.sweep import ANSWERS, Sweep
from faults.table import READY, WRONG, Table, documented, fault_name

OPTIONS = {"--all", "--docs"} & set(sys.argv)
EVERYTHING = "--all" in OPTIONS
PAGE = case.TESTS.parent / "docs" / "faults.md"
SOME_FAILURES, SOME_KILLS, SOME_HELD = 150, 60, 30
# With what a loop that hears signals is set up.
HEARING = ("epoll_create", "epoll_ctl", "eventfd", "fcntl", "ioctl", "pipe", "timerfd", "timerfd_settime")
STOOD_STILL_S = 2  # of the whole machine: no figure of that run means anything
HELD = "^injector: holds "
# What a thread can hang in on a file system that does not answer.
HANGING = ("fallocate", "fchmod", "fstat", "linkat", "mkdirat", "openat2", "pwrite", "renameat", "symlinkat")

table = Table()


def content():
    chance = random.Random(7)
    return {"lib": ("folder", 0o755, b""), "empty": ("folder", 0o500, b""),
            "lib/stored.so": ("file", 0o755, chance.randbytes(60_000)),
            "lib/large.so": ("file", 0o644, chance.randbytes(300_000)),  # its space is reserved
            "lib/text.so": ("file", 0o444, b"text " * 30_000),
            "lib/link.so": ("link", 0o777, b"large.so"),
            "deep/down/implied.so": ("file", 0o644, chance.randbytes(1000)),
            "nothing": ("file", 0o600, b"")}


class FaultsTest(case.ExtensionTest):
    def setUp(self):
        super().setUp()
        self.wanted = content()
        archives.write(self.archive, self.wanted)
        # Folders that the archive does not name.
        self.implied = {"deep": ("folder", 0o755, b""), "deep/down": ("folder", 0o755, b"")}
        self.sweep = Sweep(self, {**self.wanted, **self.implied})
        self.pulse = Pulse()
        self.addCleanup(self.pulse.close)

    def healthy(self):
        """What the program calls, and how often, when nothing is in its way."""
        self.sweep.new_destination()
        outcome = self.sweep.run()
        self.assertEqual(self.sweep.check(*outcome), READY, outcome[1].text())
        counted = self.sweep.counts()
        self.sweep.drop_destination()
        return counted

    def chosen(self, plan, most):
        """All of the plan, or `most` of it: of each call and answer in turn one more place."""
        if EVERYTHING:
            return plan
        chance = random.Random(case.SEED)
        kinds = {}
        for call, nth, what in plan:
            kinds.setdefault((call, what), []).append((call, nth, what))
        for places in kinds.values():
            chance.shuffle(places)
        rounds = [places[turn] for turn in range(max(map(len, kinds.values())))
                  for places in kinds.values() if turn < len(places)]
        return rounds[:most]

    def each(self, plan, story, then=""):
        """story(call, nth, what) of each, over a destination of its own, which does something `then`; after it a start with
        nothing in its way.
        """
        ends, wrong = Counter(), []
        last = ""
        for call, nth, what in plan:
            if EVERYTHING and call != last:
                print(f"{call}, from run {self.sweep.runs}", flush=True)
                last = call
            outcome, problem = self.once(story, call, nth, what)
            while problem and self.pulse.longest_s > STOOD_STILL_S:
                print(f"{call} {nth} {what}: once more, the machine stood still for {self.pulse.longest_s:.0f} s", flush=True)
                outcome, problem = self.once(story, call, nth, what)
            if problem:
                wrong.append(f"{call} {nth} {what}: {problem}")
                print(wrong[-1], flush=True)
            ends[outcome] += 1
            table.add(call, nth, what, then, outcome)
        print(f"{len(plan)} runs: {dict(ends)}")
        self.assertEqual(wrong, [])

    def once(self, story, *fault):
        """(outcome, what is wrong)"""
        self.pulse.start_over()
        self.sweep.new_destination()
        try:
            outcome = story(*fault)
            self.sweep.recover()
        except AssertionError as error:
            self.sweep.prefetch.kill()
            return WRONG, str(error)
        self.sweep.drop_destination()
        return outcome, ""

    def test_each_call_fails_once(self):
        counted = self.healthy()
        self.assertEqual(set(counted) - set(ANSWERS) - {"munmap", "brk"}, set())  # brk's failure is another answer
        plan = [(call, nth, what) for call, count in sorted(counted.items()) for what in ANSWERS.get(call, ())
                for nth in range(1, count + 1)]
        self.each(self.chosen(plan, SOME_FAILURES), lambda *fault: self.sweep.check(*self.sweep.run(*fault)))

    def test_killed_at_each_call(self):
        counted = self.healthy()
        plan = [("all", nth, "kill") for nth in range(1, sum(counted.values()) + 1)]
        self.each(self.chosen(plan, SOME_KILLS), lambda *fault: self.sweep.check(*self.sweep.run(*fault), killed=True))

    def test_sigterm_is_heard_whatever_fails(self):
        """In the middle of its work, with an origin that says nothing, and at rest."""
        with socket.create_server(("127.0.0.1", 0)) as silent:
            for said, origin in (("tmpdump.registered", f"http://127.0.0.1:{silent.getsockname()[1]}"), ("tmpdump.ready", None)):
                def terminated(call="all", nth=0, what=0):
                    status, log, waited = self.sweep.run_until(said, case.Prefetch.terminate, call, nth, what, origin)
                    return self.sweep.check(status, log, waited, asked=True)

                with self.subTest(said):
                    self.sweep.new_destination()
                    terminated()
                    self.each([(call, nth, ANSWERS[call][0]) for call, count in sorted(self.sweep.counts().items())
                               if call in HEARING for nth in range(1, count + 1)], terminated, f"SIGTERM after {said}")

    def test_shutdown_is_heard_while_a_decoder_hangs(self):
        def shut_down(_prefetch):
            self.sweep.api.wait_for(NEXT)
            self.sweep.api.shut_down()

        def held(call, nth, what):
            status, log, waited = self.sweep.run_until(HELD, shut_down, call, nth, what, TMPDUMP_HOLD_INIT="0")
            self.assertTrue(log.has(HELD), log.text())
            self.assertEqual(status, 0, log.text())
            self.assertIn("the environment shut down", waited[1])
            return self.sweep.check(status, log, waited, asked=True)

        self.each([("pwrite", nth, "hold") for nth in (1, 2)], held, "SHUTDOWN")  # decoders alone write so

    def test_sigterm_is_heard_whatever_hangs(self):
        """Also where that is the thread that would hear."""
        def held(call, nth, what):
            status, log, waited = self.sweep.run_until(HELD, case.Prefetch.terminate, call, nth, what)
            self.assertEqual(status, 0, log.text())
            return self.sweep.check(status, log, waited, asked=True)

        counted = self.healthy()
        plan = [(call, nth, "hold") for call in HANGING for nth in range(1, counted.get(call, 0) + 1)]
        self.each(self.chosen(plan, SOME_HELD), held, "SIGTERM")

    @unittest.skipIf("--docs" in OPTIONS, "it is being written")
    def test_the_documented_table_is_of_these_faults(self):
        wanted = {call: [fault_name(what) for what in ANSWERS[call]] for call in self.healthy() if call in ANSWERS}
        written = documented(PAGE)
        self.assertEqual({call: written.get(call) for call in wanted}, wanted)


def tearDownModule():
    print("\n".join(table.lines()), flush=True)
    if OPTIONS == {"--all", "--docs"}:
        table.write(PAGE)


if __name__ == "__main__":
    sys.argv = [argument for argument in sys.argv if argument not in OPTIONS]
    case.main()
