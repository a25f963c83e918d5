#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A schedule of faults that fails says which one it was and how to play it again, and that plays the same again.

    schedule_replay_test.py PREFETCH_SCHEDULE_TEST

TMPDUMP_SCHEDULE_PLANT breaks one of three schedules: a wrong byte in what was unpacked, a hang, an abort.
"""
import os
import re
import shlex
import signal
import subprocess
import sys
import unittest

PROGRAM = os.path.abspath(sys.argv.pop(1))
COMMAND = "build/bin/prefetch_schedule_test"  # as CONTRIBUTING.md has it
REPLAY = re.compile(rf"TMPDUMP_SCHEDULE_SEED=(\d+) {re.escape(COMMAND)}$", re.MULTILINE)
LIMIT_S = 200


def run(command, **settings):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TMPDUMP_SCHEDULE")}
    done = subprocess.run(command, shell=True, env={**environment, **settings}, capture_output=True, timeout=LIMIT_S, check=False)
    return done.returncode, (done.stdout + done.stderr).decode("utf-8", "backslashreplace")


def story(said, seed):
    """What was drawn; Catch breaks long lines."""
    told = re.search(rf"seed {seed}: (.*?)(?:->|\n\s*\n|replay:|$)", said, re.DOTALL)
    return " ".join(told[1].split()) if told else None


def some_seed():
    """Of a schedule that can end in nothing but a tree: however busy the machine is."""
    for seed in range(2, 50):
        status, said = run(shlex.quote(PROGRAM), TMPDUMP_SCHEDULES="1", TMPDUMP_SCHEDULE_FIRST=str(seed))
        if status == 0 and "; 1 could end in nothing but the tree" in said:
            return seed
    raise AssertionError("not one of fifty schedules ends in a tree")


class ReplayTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.seed = some_seed()

    def replayed(self, plant):
        """The failing run's and its replay's (status, output)."""
        settings = {"TMPDUMP_SCHEDULE_PLANT": f"{plant}:{self.seed}"}
        first = run(shlex.quote(PROGRAM), TMPDUMP_SCHEDULES="3", TMPDUMP_SCHEDULE_FIRST=str(self.seed - 1), **settings)
        said = REPLAY.search(first[1])
        self.assertIsNotNone(said, first[1])
        self.assertEqual(int(said[1]), self.seed)
        command = said[0].replace(COMMAND, shlex.quote(PROGRAM))
        again = run(command, **settings)
        self.assertEqual(again[0], first[0], again[1])
        self.assertEqual(REPLAY.search(again[1])[1], said[1])
        self.assertIsNotNone(story(again[1], self.seed), again[1])
        # It is the plant: without it, and with one in another schedule, all is well.
        for other in "", f"{plant}:{self.seed + 1}":
            status, text = run(command, TMPDUMP_SCHEDULE_PLANT=other)
            self.assertEqual(status, 0, text)
            self.assertIsNone(REPLAY.search(text))
        return first, again

    def test_a_wrong_byte(self):
        first, again = self.replayed("wrong-byte")
        self.assertGreater(first[0], 0)
        for status, said in first, again:
            self.assertIn("whole(tree, archive, after)", said)
        self.assertEqual(story(first[1], self.seed), story(again[1], self.seed))

    def test_a_hang(self):
        first, _ = self.replayed("hang")
        self.assertIn(first[0], (-signal.SIGALRM, 128 + signal.SIGALRM))  # the shell's, or the program in its place

    def test_an_abort(self):
        first, _ = self.replayed("abort")
        self.assertIn(first[0], (-signal.SIGABRT, 128 + signal.SIGABRT))


if __name__ == "__main__":
    unittest.main()
