# SPDX-License-Identifier: Apache-2.0
"""Whether the machine itself stood still: a virtual one that is paused lets every deadline pass at once."""
import threading
import time

BEAT_S = 0.2


class Pulse:
    def __init__(self):
        self._pauses, self._stop = [], threading.Event()  # (moment, length)
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()

    def _beat(self):
        last = time.monotonic()
        while not self._stop.wait(BEAT_S):
            now = time.monotonic()
            if now - last > 2 * BEAT_S:
                self._pauses.append((now, now - last))
            last = now

    def longest_since(self, moment):
        """Seconds; `moment` of time.monotonic()."""
        return max((length for end, length in self._pauses if end > moment), default=0)

    def close(self):
        self._stop.set()
        self._thread.join()
