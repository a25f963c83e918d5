# SPDX-License-Identifier: Apache-2.0
"""The program manifest_daemon as a test drives it: one order a line, each answered with "ok"."""
import subprocess


class Daemon:
    def __init__(self, program, destination, *orders):
        self.process = subprocess.Popen([program, destination], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ok\n"
        for line in orders:
            self.order(line)

    def order(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "ok\n"

    def end(self):
        """As a daemon ends that is done; nothing when it has ended."""
        if self.process.stdin.closed:
            return
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def kill(self):
        self.process.kill()
        self.end()
