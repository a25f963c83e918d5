# SPDX-License-Identifier: Apache-2.0
"""What fetching a packed archive takes of memory: segments on their way must not each hold a window of 8 MiB."""
import os
import subprocess
import sys
import unittest

from stories import TMPDUMP, Story

ORIGIN = os.environ["TMPDUMP_ORIGIN"]
MIB = 1 << 20
PROMISED = 64 * MIB


class Memory(Story):
    def peak(self, *arguments):
        process = subprocess.Popen([TMPDUMP, "fetch", *arguments, "--dest", self.folder / "out", "-q"])
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(process.returncode, 0)
        return usage.ru_maxrss * 1024

    def test_segments_on_their_way_hold_no_windows(self):
        bucket = self.folder / "root/bucket"
        bucket.mkdir(parents=True)
        with open(self.write("lib/libbig.so"), "wb") as file:
            for _ in range(24):  # segments of 8 MiB that compress to 1.5
                file.write(os.urandom(3 * MIB // 2) + bytes(13 * MIB // 2))
        self.tmpdump("pack", "lib/libbig.so=.", "-o", bucket / "a.zip", "--level", 1, "-i", "*")
        # As slow as a function's link: all connections are in the middle of a segment at once.
        with subprocess.Popen([ORIGIN, "--root", self.folder / "root", "--port", "0", "--total-mbps", "600"],
                              stdout=subprocess.PIPE, text=True) as origin:
            self.addCleanup(origin.kill)
            url = origin.stdout.readline().split()[-1]
            peak = self.peak("s3://bucket/a.zip", "--endpoint", url, "--region", "us-east-1", "--no-sign-request")
            origin.kill()
        self.assertLess(peak, PROMISED)


if __name__ == "__main__":
    unittest.main(argv=sys.argv)
