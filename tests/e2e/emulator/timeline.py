# SPDX-License-Identifier: Apache-2.0
"""Draws what happened when as rows of text on one common scale."""
from dataclasses import dataclass


@dataclass
class Row:
    """From begin to end, in seconds; `mark` draws its end alone (a thing that became ready then)."""

    title: str
    begin: float
    end: float
    note: str = ""
    mark: bool = False


class Scale:
    def __init__(self, longest, columns=56, unicode=True):
        self.longest, self.columns = longest, columns
        self.full, self.dot, self.line = ("█", "●", "·") if unicode else ("#", "o", ".")

    def column(self, seconds):
        return max(0, min(self.columns - 1, int(seconds / self.longest * self.columns)))

    def bar(self, row):
        first, last = self.column(row.begin), self.column(row.end)
        if row.mark:
            return (" " * first + self.line * (last - first) + self.dot).ljust(self.columns)
        return (" " * first + self.full * max(1, last - first)).ljust(self.columns)

    def ruler(self):
        """A number every so often: at round steps, so many that they do not touch."""
        step = next(step for step in (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 50, 1000) if self.longest / step <= 8)
        text = ""
        for number in range(int(self.longest / step) + 1):
            label = f"{number * step * 1000:.0f}"
            at = self.column(number * step)
            if at + len(label) <= self.columns:
                text = text.ljust(at) + label
        return text.ljust(self.columns)


def draw(rows, scale):
    """Lines of text; each row ends with the time of its end."""
    width = max(len(row.title) for row in rows)
    yield f"  {'':{width}}  {scale.ruler()}   ms"
    for row in rows:
        took = f"{row.end * 1000:6.0f}"
        yield f"  {row.title:{width}}  {scale.bar(row)} {took}  {row.note}".rstrip()
