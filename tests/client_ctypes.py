# SPDX-License-Identifier: Apache-2.0
"""The shared library from Python, as a Lambda function in Python would use it: no binding needed but ctypes.

client_ctypes.py LIBTMPDUMP MANIFEST_DAEMON
"""
import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest

OK, NOT_IN_ARCHIVE, TIMEOUT, NO_DAEMON, DAEMON_DIED, FAILED = range(6)


class Report(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t)] + [
        (name, ctypes.c_uint32) for name in ("state", "daemon_alive", "failure_code", "pid")
    ] + [(name, ctypes.c_uint64) for name in ("generation", "started_ns")]  # an older, shorter report


class Daemon:
    def __init__(self, destination):
        self.process = subprocess.Popen([DAEMON, destination], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ok\n"

    def order(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "ok\n"

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class ClientTest(unittest.TestCase):
    def setUp(self):
        self.destination = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.destination)

    def run_child(self, code):
        """The library looks at TMPDUMP_DEST once a process, so each story runs in its own."""
        environment = dict(os.environ, TMPDUMP_DEST=self.destination)
        return subprocess.run([sys.executable, "-c", PRELUDE + code], env=environment, check=True,
                              capture_output=True, text=True).stdout.split()

    def test_no_daemon(self):
        self.assertEqual(self.run_child("print(wait(-1), wait_file('a', -1), wait_file('/a', -1))"),
                         [str(NO_DAEMON), str(NO_DAEMON), str(NOT_IN_ARCHIVE)])

    def test_publish_wakes_and_death_ends(self):
        daemon = Daemon(self.destination)
        self.addCleanup(daemon.kill)
        os.environ["TMPDUMP_DEST"] = self.destination
        library = ctypes.CDLL(LIBRARY)
        daemon.order("list lib/a.so=b.so lib/b.so lib/gr\u00fc\u00df.so")
        codes = {}
        waiters = [threading.Thread(target=lambda n=name: codes.update(
            {n: library.tmpdump_wait_file(n.encode(), -1)})) for name in ("lib/a.so", "lib/gr\u00fc\u00df.so")]
        for waiter in waiters:
            waiter.start()
        daemon.order("publish lib/a.so")
        daemon.order("publish lib/b.so")
        waiters[0].join()
        self.assertEqual(codes["lib/a.so"], OK)
        report = Report(size=ctypes.sizeof(Report))
        self.assertEqual(library.tmpdump_status(ctypes.byref(report)), OK)
        self.assertEqual((report.daemon_alive, report.pid, report.generation), (1, daemon.process.pid, 1))
        daemon.kill()
        waiters[1].join()
        self.assertEqual(codes["lib/gr\u00fc\u00df.so"], DAEMON_DIED)

    def test_failure(self):
        daemon = Daemon(self.destination)
        self.addCleanup(daemon.kill)
        daemon.order("fail the key is missing")
        self.assertEqual(self.run_child("print(wait(-1)); print(reason())"),
                         [str(FAILED), "the", "key", "is", "missing"])


if __name__ == "__main__":
    LIBRARY, DAEMON = sys.argv[1:3]
    PRELUDE = f"""
import ctypes
library = ctypes.CDLL({LIBRARY!r})
wait = library.tmpdump_wait
def wait_file(path, timeout): return library.tmpdump_wait_file(path.encode(), timeout)
def reason():
    text = ctypes.create_string_buffer(1024)
    library.tmpdump_reason.restype = ctypes.c_size_t
    assert library.tmpdump_reason(text, ctypes.c_size_t(1024)) == len(text.value)
    return text.value.decode()
"""
    unittest.main(argv=sys.argv[:1])
