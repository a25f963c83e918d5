# SPDX-License-Identifier: Apache-2.0
"""Every system call that the extension makes fails once, with each error that the kernel may answer, or from then on; and it
is killed at each of them: in an empty destination, over what others left, with packed archives. The same for who waits.
Whatever happens: what is visible is whole, who waits is told, and the next start comes to the good end.

    faults_test.py BUILD_FOLDER [--all [--docs]]

Without --all a part of the list: each call and each error, at some of its places; TMPDUMP_SEED chooses others. The table of
what came of it closes the output; --docs writes it to docs/faults.md, too. With sanitizers in the programs (TMPDUMP_SANITIZED)
each of their reports is a failure, leaks at the end among them; how often the released programs call what is not asked then.
"""
import os
import queue
import random
import re
import socket
import subprocess
import sys
import time
import unittest
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from errno import EINTR, ENOSPC, EPERM

from extension_harness import archives, case
from extension_harness.api import NEXT, REGISTER
from faults import scenarios, waiting
from faults.pulse import Pulse
from faults.sweep import ANSWERS, CANNOT_FAIL, COUNTED_ONLY, LASTING, MOST_S, Sweep, Wrong
from faults.table import READY, TOLD, WRONG, Table, documented

OPTIONS = {"--all", "--docs"} & set(sys.argv)
EVERYTHING = "--all" in OPTIONS
PAGE = case.TESTS.parent / "docs" / "faults.md"
AT_ONCE = min(4, os.cpu_count())
# Runs of a part, in an empty destination and in each of the other scenarios.
SOME_FAILURES, SOME_OTHERS, SOME_KILLS, SOME_LASTING, SOME_HELD, SOME_WAITS = 150, 50, 20, 6, 30, 20
SOME_INTERRUPTED = 60  # with sanitizers, which take four times as long; else all
# With what a loop that hears signals is set up.
HEARING = ("epoll_create", "epoll_ctl", "eventfd", "ioctl", "pipe", "timerfd", "timerfd_settime")
HEARD_AFTER = ("tmpdump.registered", "tmpdump.ready")
STOOD_STILL_S = 2  # of the whole machine: no figure of that run means anything
HELD = "^injector: holds "
# What a thread can hang in on a file system that does not answer.
HANGING = ("fallocate", "fchmod", "fstat", "linkat", "mkdirat", "openat2", "pwrite", "renameat", "symlinkat")
DECODERS_WRITES = {"pwrite": 2}  # nobody else writes so
OTHERS = {"arch_prctl"}  # of one architecture
RACES = ("fcntl", "futex-wait")  # of a waiter and its daemon: is there still something to sleep for?
# Healthy runs from which to know what comes each time, and of which one has to have what comes at all.
SURE, RARE = 3, 20

table = Table()


def places(counted, calls=ANSWERS):
    """Each of the calls, each time that it comes, with each of its errors."""
    return [(call, nth, what) for call, count in sorted(counted.items()) if call in calls for what in ANSWERS.get(call, ())
            for nth in range(1, count + 1)]


def lasting(counted):
    return [(calls, nth, what) for calls, what in LASTING.items()
            for nth in range(1, sum(counted.get(call, 0) for call in calls.split(",")) + 1)]


def kills(counted):
    return [("all", nth, "kill") for nth in range(1, sum(counted.values()) + 1)]


def hearing(counted):
    """With the first of its errors."""
    return [(call, nth, what) for call, nth, what in places(counted, HEARING) if what == ANSWERS[call][0]]


def hanging(counted, calls=HANGING):
    return [(call, nth, "hold") for call in calls for nth in range(1, counted.get(call, 0) + 1)]


def chosen(plan, most, shift=0):
    """All of the plan, or `most` of it, always the same: one place of each call with one of its errors, then with another
    (`shift`: with which it begins), then other places.
    """
    if EVERYTHING:
        return plan
    chance, kinds = random.Random(case.SEED), {}
    for call, nth, what in plan:
        kinds.setdefault(call, {}).setdefault(what, []).append((call, nth, what))
    in_turn = []
    for faults in kinds.values():
        for number, some in enumerate(faults.values()):
            chance.shuffle(some)
            in_turn += [(turn, (number - shift) % len(faults), fault) for turn, fault in enumerate(some)]
    in_turn.sort(key=lambda one: one[:2])
    return [fault for _, _, fault in in_turn[:most]]


def unknown(counted):
    """Of the calls those of which nobody has said how they fail, or why they do not."""
    return set(counted) - set(ANSWERS) - COUNTED_ONLY - set(CANNOT_FAIL)


class Faults(case.ExtensionTest):
    def setUp(self):
        super().setUp()
        self.pulse = Pulse()
        self.addCleanup(self.pulse.close)
        self.maxDiff = None

    def assert_documented(self, name, counts, plans, races=()):
        """The page has what comes each time, with its errors, and nothing that never comes: how often a rare call comes is not
        the same each time. `counts()`: of one more healthy run; plans(counts): [(what is done then, plan)]; `races`: calls that
        come or not by who is quicker, of which only the errors are compared.
        """
        there = {key: faults for key, faults in documented(PAGE).items() if key[0] == name}
        runs = []
        while len(runs) < SURE or (len(runs) < RARE and {key for key in there if key[1] not in races} - set().union(*runs)):
            rows = Table()
            for then, plan in plans(counts()):
                for call, nth, what in plan:
                    rows.add(name, call, nth, what, then, READY)
            runs.append(rows.rows_of())
        ever = {key: faults for run in runs for key, faults in run.items()}
        always = {key for key in set.intersection(*map(set, runs)) if key[1] not in races}
        self.assertEqual({key: faults for key, faults in there.items() if key in ever or key[1] not in races},
                         {key: faults for key, faults in ever.items() if key in there or key in always},
                         "what the page has, and what comes")

    def each(self, subjects, plan, story, then=""):
        """story(subject, call, nth, what) of each, by several subjects at once; `then`: what else it does, for the table."""
        idle, ends, wrong = queue.SimpleQueue(), Counter(), []
        for subject in subjects:
            idle.put(subject)

        def one(fault):
            subject = idle.get()
            try:
                return self.once(story, subject, *fault)
            finally:
                idle.put(subject)

        begin, last, name = time.monotonic(), "", self.name_of(subjects[0])
        with ThreadPoolExecutor(len(subjects)) as pool:
            for (call, nth, what), (outcome, problem) in zip(plan, pool.map(one, plan)):
                if EVERYTHING and call != last:
                    print(f"{name}: {call}", flush=True)
                    last = call
                if problem:
                    wrong.append(f"{name}: {call} {nth} {what}: {problem}")
                    print(wrong[-1], flush=True)
                ends[outcome] += 1
                table.add(name, call, nth, what, then, outcome)
        print(f"{name or 'empty destination'} {then}: {len(plan)} runs in {time.monotonic() - begin:.0f} s: {dict(ends)}", flush=True)
        self.assertEqual(wrong, [])

    def once(self, story, subject, *fault):
        """(outcome, what is wrong)"""
        while True:
            begin = time.monotonic()
            try:
                return story(subject, *fault), ""
            except AssertionError as error:
                if (still := self.pulse.longest_since(begin)) <= STOOD_STILL_S:
                    return WRONG, str(error)
                print(f"{fault}: once more, the machine stood still for {still:.0f} s", flush=True)


class HarnessTest(case.ExtensionTest):
    def test_what_a_dead_one_asked_for_is_not_the_next_ones(self):
        """Read late, its register would start the next one's waiter, who finds a manifest whose daemon is dead."""
        registered = []
        api = self.start_api(on_register=lambda: registered.append(True))
        host, port = api.address.split(":")
        for round_ in range(50):
            with socket.create_connection((host, int(port))) as dead:
                dead.sendall(f"POST {REGISTER} HTTP/1.1\r\nHost: {api.address}\r\nContent-Length: 0\r\n\r\n".encode())
            api.start_over()
            self.assertEqual((len(registered), api.paths()), (round_ + 1, []))


class ExtensionFaultsTest(Faults):
    def setUp(self):
        super().setUp()
        self.scenarios = scenarios.all_of(self)

    def sweeps(self, scenario, count=AT_ONCE):
        return [Sweep(self, scenario, f"{len(os.listdir(self.folder))}-{number}") for number in range(count)]

    @staticmethod
    def name_of(sweep):
        return sweep.scenario.name

    def healthy(self, sweep, calls="all"):
        """What the program calls, and how often, when nothing is in its way."""
        sweep.new_destination()
        outcome = sweep.run(calls)
        self.assertEqual((sweep.check(*outcome), outcome[0]), (READY, 0), outcome[1].text())
        sweep.scenario.check_healthy(outcome[1])
        self.assertFalse(outcome[1].has("tmpdump.exposed"), outcome[1].text())
        counted = sweep.counts()
        sweep.drop_destination()
        self.assertEqual(unknown(counted), set(), "calls that are in no list of tests/faults/sweep.py")
        return counted

    def each_recovers(self, sweeps, plan, story, then=""):
        """Over a destination of its own, and with a start with nothing in its way after it."""
        def both(sweep, *fault):
            try:
                sweep.new_destination()
                outcome = story(sweep, *fault)
                sweep.recover()
            except AssertionError:
                sweep.prefetch.kill()
                raise
            sweep.drop_destination()
            return outcome

        self.each(sweeps, plan, both, then)

    def each_scenario(self, story):
        """story(its number, sweeps of it, what it calls)"""
        for number, scenario in enumerate(self.scenarios):
            with self.subTest(scenario.name):
                sweeps = self.sweeps(scenario)
                story(number, sweeps, self.healthy(sweeps[0]))

    @unittest.skipIf(case.SANITIZED, "of the released programs")
    def test_no_call_is_left_out(self):
        """Whatever they call when nothing is in their way is one of which it is known how it fails. In CANNOT_FAIL is nothing
        that nobody calls.
        """
        seen = set()
        self.each_scenario(lambda _number, sweeps, _counted: seen.update(self.healthy(sweeps[0], "rest")))
        for waiter in waiting.stories(self):
            waiter.check(*waiter.run("rest"))
            self.assertEqual(unknown(waiter.counts()), set(), waiter.name)
        sweeps = self.sweeps(self.scenarios[0], 1)
        sweeps[0].new_destination()
        sweeps[0].check(*sweeps[0].run_until("tmpdump.ready", case.Prefetch.terminate, "rest"), asked=True)
        seen.update(sweeps[0].counts())
        self.assertEqual(unknown(seen), set())
        self.assertEqual(set(CANNOT_FAIL) - OTHERS - seen, set())

    def test_each_call_fails_once(self):
        self.each_scenario(lambda number, sweeps, counted: self.each_recovers(
            sweeps, chosen(places(counted), SOME_OTHERS if number else SOME_FAILURES, number), self.fails))

    @staticmethod
    def fails(sweep, *fault):
        status, log, waited = sweep.run(*fault)
        outcome = sweep.check(status, log, waited)
        if fault[2] == EINTR and outcome != READY:
            raise Wrong(f"interrupted, and not made again: {log.text()}")
        return outcome

    def test_who_cannot_keep_to_itself_says_so(self):
        """It is ready, but promise e is not kept: nothing else would show it. Of what it asks for each, by name, and once."""
        (sweep,) = self.sweeps(self.scenarios[0], 1)
        counted, told = self.healthy(sweep), []
        for call in "prctl", "prlimit":
            for nth in range(1, counted[call] + 1 if call in ANSWERS else 0):
                sweep.new_destination()
                status, log, waited = sweep.run(call, nth, EPERM)
                self.assertEqual((sweep.check(status, log, waited), status), (READY, 0), log.text())
                told += [event["message"] for event in log.objects("tmpdump.exposed")]
                sweep.drop_destination()
        names = [re.match("(.*): Operation not permitted: .*; have the sandbox permit it$", message)[1] for message in told]
        cores = ["setrlimit RLIMIT_CORE"] if "prlimit" in ANSWERS else []
        self.assertEqual(names, ["prctl PR_SET_DUMPABLE", "prctl PR_SET_NO_NEW_PRIVS", *cores])

    @unittest.skipIf(EVERYTHING, "they are among all")
    def test_what_is_interrupted_is_made_again(self):
        sweeps = self.sweeps(self.scenarios[0])
        plan = [fault for fault in places(self.healthy(sweeps[0])) if fault[2] == EINTR]
        self.each_recovers(sweeps, chosen(plan, SOME_INTERRUPTED) if case.SANITIZED else plan, self.fails)

    def test_a_loop_that_cannot_be_woken_says_so(self):
        """The first two that epoll is to watch are what threads and timers wake the loop by, and nobody else looks whether it
        does. Without them a start ends well only by chance. The origin is too slow for one that is quicker than the look.
        """
        slow = self.start_origin(total_mbps=8)

        def story(sweep, *fault):
            outcome = sweep.run(*fault, AWS_ENDPOINT_URL_S3=slow.endpoint)
            self.assertTrue(outcome[1].has("the kernel did not let epoll watch them"), outcome[1].text())
            return sweep.check(*outcome)

        self.each_recovers(self.sweeps(self.scenarios[0]),
                           [("epoll_ctl", nth, what) for nth in (1, 2) for what in ANSWERS["epoll_ctl"]], story)
        for nth in (1, 2):  # the command line's has no more than this
            with self.subTest(f"tmpdump fetch, epoll_ctl {nth}"):
                fetch = subprocess.run(
                    [case.build / "bin" / "fault_injector", "epoll_ctl", str(nth), str(ENOSPC), self.folder / "fetch-calls",
                     case.tested("tmpdump"), "tmpdump", "fetch", self.archive.as_uri(), "--dest", self.folder / "fetched"],
                    env={**os.environ, **case.SANITIZERS}, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=MOST_S)
                self.assertEqual((fetch.returncode, archives.found(self.folder / "fetched")), (1, {}), fetch.stderr)
                self.assertIn("the kernel did not let epoll watch them", fetch.stderr)

    def test_each_call_fails_from_then_on(self):
        self.each_scenario(lambda _number, sweeps, counted: self.each_recovers(
            sweeps, chosen(lasting(counted), SOME_LASTING), lambda sweep, *fault: sweep.check(*sweep.run(*fault))))

    def test_killed_at_each_call(self):
        self.each_scenario(lambda _number, sweeps, counted: self.each_recovers(
            sweeps, chosen(kills(counted), SOME_KILLS),
            lambda sweep, *fault: sweep.check(*sweep.run(*fault), killed=True)))

    def test_sigterm_is_heard_whatever_fails(self):
        """In the middle of its work, with an origin that says nothing, and at rest."""
        sweeps = self.sweeps(self.scenarios[0])
        with socket.create_server(("127.0.0.1", 0), backlog=1000) as silent:
            for said, origin in zip(HEARD_AFTER, ({"AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{silent.getsockname()[1]}"}, {})):
                def terminated(sweep, *fault):
                    return sweep.check(*sweep.run_until(said, case.Prefetch.terminate, *fault, **origin), asked=True)

                with self.subTest(said):
                    sweeps[0].new_destination()
                    terminated(sweeps[0])
                    self.each_recovers(sweeps, hearing(sweeps[0].counts()), terminated, f"SIGTERM after {said}")

    def test_shutdown_is_heard_while_a_decoder_hangs(self):
        def held(sweep, *fault):
            def shut_down(_prefetch):
                sweep.api.wait_for(NEXT)
                sweep.api.shut_down()

            status, log, waited = sweep.run_until(HELD, shut_down, *fault, TMPDUMP_HOLD_INIT="0")
            self.assertTrue(log.has(HELD), log.text())
            self.assertEqual(status, 0, log.text())
            self.assertIn("the environment shut down", waited[1])
            return sweep.check(status, log, waited, asked=True)

        self.each_recovers(self.sweeps(self.scenarios[0]), hanging(DECODERS_WRITES, DECODERS_WRITES), held, "SHUTDOWN")

    @unittest.skipIf(case.OF_THREADS, "ThreadSanitizer lets a handler run when the call that it interrupted is over")
    def test_sigterm_is_heard_whatever_hangs(self):
        """Also where that is the thread that would hear."""
        def held(sweep, *fault):
            status, log, waited = sweep.run_until(HELD, case.Prefetch.terminate, *fault)
            self.assertEqual(status, 0, log.text())
            return sweep.check(status, log, waited, asked=True)

        sweeps = self.sweeps(self.scenarios[0])
        self.each_recovers(sweeps, chosen(hanging(self.healthy(sweeps[0])), SOME_HELD), held, "SIGTERM")

    @unittest.skipIf("--docs" in OPTIONS or case.SANITIZED, "it is being written, or of the released programs")
    def test_the_documented_table_is_of_these_faults(self):
        def story(number, sweeps, _counted):
            def plans(counted):
                yield from (("", plan(counted)) for plan in (places, lasting, kills))
                if number == 0:
                    yield from ((f"SIGTERM after {said}", hearing(counted)) for said in HEARD_AFTER)
                    yield "SHUTDOWN", hanging(DECODERS_WRITES, DECODERS_WRITES)
                    yield "SIGTERM", hanging(counted)

            self.assert_documented(self.name_of(sweeps[0]), lambda: self.healthy(sweeps[0]), plans)

        self.each_scenario(story)
        starts = {scenario.name for scenario in self.scenarios} | {waiter.name for waiter in waiting.stories(self)}
        self.assertEqual({start for start, *_ in documented(PAGE)} - starts, set(), "starts that are none")


class WaiterFaultsTest(Faults):
    @staticmethod
    def name_of(waiter):
        return waiter.name

    def test_each_call_of_a_waiter_fails_once(self):
        for waiters in zip(*(waiting.stories(self, number) for number in range(AT_ONCE))):
            with self.subTest(waiters[0].name):
                end = READY if waiters[0].success else TOLD
                self.assertEqual(waiters[0].check(*waiters[0].run()), end)
                counted = waiters[0].counts()
                self.assertEqual(unknown(counted), set())

                def story(waiter, *fault, end=end):
                    status, said = waiter.run(*fault)
                    outcome = waiter.check(status, said, mute=fault[0] == "write")
                    if fault[2] == EINTR and outcome != end:
                        raise Wrong(f"interrupted, and not made again: {said!r}")
                    return outcome

                self.each(waiters, chosen(places(counted), SOME_WAITS), story)

    @unittest.skipIf("--docs" in OPTIONS or case.SANITIZED, "it is being written, or of the released programs")
    def test_the_documented_table_is_of_these_faults(self):
        for waiter in waiting.stories(self):
            with self.subTest(waiter.name):
                def counts(one=waiter):
                    one.check(*one.run())
                    return one.counts()

                self.assert_documented(waiter.name, counts, lambda counted: [("", places(counted))], RACES)


def tearDownModule():
    print("\n".join(table.lines()), flush=True)
    if OPTIONS == {"--all", "--docs"}:
        table.write(PAGE)


if __name__ == "__main__":
    sys.argv = [argument for argument in sys.argv if argument not in OPTIONS]
    case.main()
