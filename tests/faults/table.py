# SPDX-License-Identifier: Apache-2.0
"""What came of each call and each of its faults: the table of docs/faults.md."""
import errno
import re
from collections import Counter

MARK = "<!-- written by tests/faults_test.py --docs -->\n"
READY, TOLD, NO_START, KILLED, ENDED, WRONG = "ready", "fails", "not started", "killed", "ended", "wrong"
COLUMNS = ("start", "call", "fault", "then", "places", "runs", READY, TOLD, NO_START, KILLED, ENDED, WRONG)
TEXTS = 4  # of them
NAMES = {"kill": "SIGKILL instead", "hold": "hangs", "short": "half is written", errno.EOPNOTSUPP: "EOPNOTSUPP"}  # it has two


def fault_name(what):
    if str(what).endswith("+"):
        return fault_name(what[:-1]) + " from then on"
    return NAMES.get(what) or errno.errorcode[int(what)]


def call_name(call):
    return "any" if call == "all" else call.replace(",", ", ")


class Table:
    def __init__(self):
        self.rows = {}  # (start, call, what is done then): (faults in order, places, outcomes)

    def add(self, start, call, nth, what, then, outcome):
        faults, places, outcomes = self.rows.setdefault((start, call, then), ({}, set(), Counter()))
        faults[fault_name(what)] = None
        places.add(nth)
        outcomes[outcome] += 1

    def rows_of(self):
        """{(start, call, what is done then): names of its faults}"""
        return {(start, call_name(call), then): list(faults) for (start, call, then), (faults, *_) in self.rows.items()}

    def lines(self):
        total = Counter()
        yield "| " + " | ".join(COLUMNS) + " |"
        yield "|" + "---|" * TEXTS + "---:|" * (len(COLUMNS) - TEXTS)
        for (start, call, then), (faults, places, outcomes) in self.rows.items():
            total += outcomes
            yield self.line(start, call_name(call), ", ".join(faults), then, len(places), outcomes)
        yield self.line("**sum**", "", "", "", 0, total)

    @staticmethod
    def line(start, call, faults, then, places, outcomes):
        counts = [places, sum(outcomes.values()), *(outcomes[name] for name in COLUMNS[TEXTS + 2:])]
        return f"| {start} | {call} | {faults} | {then} | " + " | ".join(str(count) if count else "" for count in counts) + " |"

    def write(self, path):
        head = path.read_text().partition(MARK)[0]
        path.write_text(head + MARK + "\n".join(["", *self.lines(), ""]))


def documented(path):
    """What rows_of() has, of the written table."""
    _, _, *lines, _ = path.read_text().partition(MARK)[2].strip().splitlines()  # its head has two lines, the sum is no row
    rows = ([text.strip() for text in line.split("|")[1:1 + TEXTS]] for line in lines)
    return {(start, call, then): faults.split(", ") for start, call, faults, then in rows}
