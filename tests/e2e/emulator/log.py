# SPDX-License-Identifier: Apache-2.0
"""What a process says, line by line, with the time of each line; waits for a line instead of sleeping."""
import json
import re
import threading
import time
from dataclasses import dataclass


@dataclass
class Line:
    index: int
    at: float  # CLOCK_MONOTONIC in seconds, when it was read
    text: str


class NotSaid(AssertionError):
    pass


class Log:
    """Reads `stream` to its end in a thread of its own."""

    def __init__(self, stream):
        self.lines, self.ended = [], False
        self.changed = threading.Condition()
        self.reader = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self.reader.start()

    def _read(self, stream):
        with stream:
            for raw in stream:
                text = raw.decode(errors="replace").rstrip("\n")
                with self.changed:
                    self.lines.append(Line(len(self.lines), time.monotonic(), text))
                    self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def all(self, pattern):
        with self.changed:
            return [line for line in self.lines if re.search(pattern, line.text)]

    def has(self, pattern):
        return bool(self.all(pattern))

    def first(self, pattern, after=-1):
        """The first line with pattern behind line number `after`; None when there is none yet."""
        for line in self.lines[after + 1:]:
            if re.search(pattern, line.text):
                return line
        return None

    def wait_for(self, pattern, deadline_s, after=-1):
        found = None

        def said():
            nonlocal found
            found = self.first(pattern, after)
            return found or self.ended
        with self.changed:
            self.changed.wait_for(said, deadline_s)
        if not found:
            how = "the log ended" if self.ended else f"not within {deadline_s} s"
            raise NotSaid(f"no line with {pattern!r}: {how}; the log:\n{self.text()}")
        return found

    def objects(self, event):
        """The JSON lines with this "event"."""
        found = []
        for line in self.all(re.escape(f'"{event}"')):
            start = line.text.find("{")
            try:
                value = json.loads(line.text[start:])
            except ValueError:
                continue
            if value.get("event") == event:
                found.append(value)
        return found

    def text(self):
        with self.changed:
            return "\n".join(line.text for line in self.lines)
