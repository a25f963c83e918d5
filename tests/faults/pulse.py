# SPDX-License-Identifier: Apache-2.0
"""Whether the machine itself stood still: a virtual one that is paused lets every deadline pass at once."""
import threading
import time

BEAT_S = 0.2


class Pulse:
    def __init__(self):
        self.longest_s, self._stop = 0, threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()

    def _beat(self):
        last = time.monotonic()
        while not self._stop.wait(BEAT_S):
            now = time.monotonic()
            self.longest_s, last = max(self.longest_s, now - last), now

    def start_over(self):
        self.longest_s = 0

    def close(self):
        self._stop.set()
        self._thread.join()
