# SPDX-License-Identifier: Apache-2.0
"""What came of each call and each of its faults: the table of docs/faults.md."""
import errno
import re
from collections import Counter

MARK = "<!-- written by tests/faults_test.py --docs -->\n"
READY, TOLD, NO_START, KILLED, ENDED, WRONG = "ready", "fails", "not started", "killed", "ended", "wrong"
COLUMNS = ("call", "fault", "then", "places", "runs", READY, TOLD, NO_START, KILLED, ENDED, WRONG)
NAMES = {"kill": "SIGKILL instead", "hold": "hangs", "short": "half is written", errno.EOPNOTSUPP: "EOPNOTSUPP"}  # it has two


def fault_name(what):
    return NAMES.get(what) or errno.errorcode[int(what)]


class Table:
    def __init__(self):
        self.rows = {}  # call: (faults in order, places, outcomes)

    def add(self, call, nth, what, then, outcome):
        faults, places, outcomes = self.rows.setdefault((call, then), ({}, set(), Counter()))
        faults[fault_name(what)] = None
        places.add(nth)
        outcomes[outcome] += 1

    def lines(self):
        total = Counter()
        yield "| " + " | ".join(COLUMNS) + " |"
        yield "|---|---|---|" + "---:|" * (len(COLUMNS) - 3)
        for (call, then), (faults, places, outcomes) in self.rows.items():
            total += outcomes
            yield self.line("any" if call == "all" else call, ", ".join(faults), then, len(places), outcomes)
        yield self.line("**sum**", "", "", 0, total)

    @staticmethod
    def line(call, faults, then, places, outcomes):
        counts = [places, sum(outcomes.values()), *(outcomes[name] for name in COLUMNS[5:])]
        return f"| {call} | {faults} | {then} | " + " | ".join(str(count) if count else "" for count in counts) + " |"

    def write(self, path):
        head = path.read_text().partition(MARK)[0]
        path.write_text(head + MARK + "\n".join(["", *self.lines(), ""]))


def documented(path):
    """{call: names of its faults} of the written table, without what is done then."""
    rows = re.findall(r"^\| ([\w-]+) \| ([^|]+) \|  \| ", path.read_text().partition(MARK)[2], re.MULTILINE)
    return {call: faults.split(", ") for call, faults in rows}
