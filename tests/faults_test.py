# SPDX-License-Identifier: Apache-2.0
"""Every system call that the extension makes fails once, with each error that the kernel may answer; and it is killed at
each of them. Whatever happens: what is visible is whole, who waits is told, and the next start comes to the good end.

    faults_test.py BUILD_FOLDER [--all]

Without --all a part of the list: each call and each error, at some of its places; TMPDUMP_SEED chooses others.
"""
import random
import sys
from collections import Counter

from extension_harness import archives, case
from faults.sweep import ANSWERS, Sweep

EVERYTHING = "--all" in sys.argv
SOME_FAILURES, SOME_KILLS = 150, 60


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

    def healthy(self):
        """What the program calls, and how often, when nothing is in its way."""
        self.sweep.new_destination()
        outcome = self.sweep.run()
        self.assertTrue(self.sweep.check(*outcome), outcome[1].text())
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

    def go_through(self, plan, killed):
        ends, wrong = Counter(), []
        last = ""
        for call, nth, what in plan:
            if EVERYTHING and call != last:
                print(f"{call}, from run {self.sweep.runs}", flush=True)
                last = call
            self.sweep.new_destination()
            story = f"{call} {nth} {what}"
            try:
                ready = self.sweep.check(*self.sweep.run(call, nth, what), killed=killed)
                ends["ready" if ready else "killed" if killed else "told why not"] += 1
                self.sweep.recover()
            except AssertionError as error:
                wrong.append(f"{story}: {error}")
                print(wrong[-1], flush=True)
            else:
                self.sweep.drop_destination()
        print(f"{len(plan)} runs: {dict(ends)}")
        self.assertEqual(wrong, [])

    def test_each_call_fails_once(self):
        counted = self.healthy()
        self.assertEqual(set(counted) - set(ANSWERS) - {"munmap", "brk"}, set())  # brk's failure is another answer
        plan = [(call, nth, what) for call, count in sorted(counted.items()) for what in ANSWERS.get(call, ())
                for nth in range(1, count + 1)]
        self.go_through(self.chosen(plan, SOME_FAILURES), killed=False)

    def test_killed_at_each_call(self):
        counted = self.healthy()
        plan = [("all", nth, "kill") for nth in range(1, sum(counted.values()) + 1)]
        self.go_through(self.chosen(plan, SOME_KILLS), killed=True)


if __name__ == "__main__":
    sys.argv = [argument for argument in sys.argv if argument != "--all"]
    case.main()
