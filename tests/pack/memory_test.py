# SPDX-License-Identifier: Apache-2.0
"""What fetching an archive takes of memory: neither its size nor its entries' count may show, nor may segments on their way
each hold a window of 8 MiB. A directory's size may, within its bound.
"""
import os
import random
import struct
import subprocess
import sys
import unittest
import zipfile

from stories import TMPDUMP, Story

ORIGIN = os.environ["TMPDUMP_ORIGIN"]
MIB = 1 << 20
PROMISED = 64 * MIB
MOST_ENTRIES, PROMISED_OF_ENTRIES, PROMISED_OF_DIRECTORY = 200_000, 128 * MIB, 320 * MIB

MEASURE = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


class Memory(Story):
    def setUp(self):
        super().setUp()
        self.bucket = self.folder / "root/bucket"
        self.bucket.mkdir(parents=True)

    def peak(self, *arguments):
        """Not asked for by this process: a child's peak is at least that of who started it."""
        command = [sys.executable, "-S", "-c", MEASURE, TMPDUMP, "fetch", *arguments, "--dest", self.folder / "out", "-q"]
        return int(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout) * 1024

    def peak_of_fetch(self, *arguments, link=("--total-mbps", "600")):
        """Of the bucket's a.zip, over a link as slow as a function's: all connections are in the midst of it at once."""
        with subprocess.Popen([ORIGIN, "--root", self.folder / "root", "--port", "0", *link], stdout=subprocess.PIPE, text=True) as origin:
            self.addCleanup(origin.kill)
            url = origin.stdout.readline().split()[-1]
            peak = self.peak("s3://bucket/a.zip", "--endpoint", url, "--region", "us-east-1", "--no-sign-request", *arguments)
            origin.kill()
        print(f"{self.id().split('.')[-1]}: {peak / MIB:.1f} MiB")
        return peak

    def test_segments_on_their_way_hold_no_windows(self):
        with open(self.write("lib/libbig.so"), "wb") as file:
            for _ in range(24):  # segments of 10 MiB that compress to 2
                file.write(os.urandom(2 * MIB) + bytes(8 * MIB))
        self.tmpdump("pack", "lib/libbig.so=.", "-o", self.bucket / "a.zip", "--level", 1, "-i", "*")
        self.assertLess(self.peak_of_fetch(), PROMISED)

    def test_segments_that_hardly_compress(self):
        """What is gathered of them counts as buffers do, and so do all together when they are decoded one after another."""
        with open(self.write("lib/model.bin"), "wb") as file:
            for _ in range(32):  # to 6 MiB of 10
                file.write(os.urandom(6 * MIB) + bytes(4 * MIB))
        self.tmpdump("pack", "lib/model.bin=.", "-o", self.bucket / "a.zip", "--level", 1)
        self.assertLess(self.peak_of_fetch(link=("--connection-mbps", "480", "--total-mbps", "2400", "--first-byte-ms", "25")), PROMISED)

    def test_files_that_are_not_cut_and_hardly_compress(self):
        """The largest that are one segment: two of them fill the buffers when they are gathered."""
        for number in range(24):  # to 10 MiB of 14
            self.write(f"lib/model{number}.bin", os.urandom(10 * MIB) + bytes(4 * MIB))
        self.tmpdump("pack", "lib", "-o", self.bucket / "a.zip", "--level", 1, "-i", "*")
        self.assertLess(self.peak_of_fetch(link=("--connection-mbps", "480", "--total-mbps", "2400", "--first-byte-ms", "25")), PROMISED)

    def test_what_does_not_compress(self):
        with open(self.write("lib/noise.bin"), "wb") as file:
            for _ in range(40):
                file.write(os.urandom(8 * MIB))
        self.tmpdump("pack", "lib/noise.bin=.", "-o", self.bucket / "a.zip", "--level", 1)
        self.assertLess(self.peak_of_fetch(link=("--connection-mbps", "480", "--total-mbps", "2400", "--first-byte-ms", "25")), PROMISED)

    def test_many_entries_of_any_size(self):
        """An ordinary zip of 10,000 small files among large ones, twice the bound in all."""
        source = random.Random(1)
        with zipfile.ZipFile(self.bucket / "a.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for number in range(10_000):
                size = 12 * MIB if number % 1250 == 0 else source.randrange(16_000)
                archive.writestr(f"python/lib/package{number // 50}/module{number}.py", source.randbytes(size // 2) + bytes(size // 2))
        self.assertGreater((self.bucket / "a.zip").stat().st_size, PROMISED)
        self.assertLess(self.peak_of_fetch(), PROMISED)

    def write_directory(self, name):
        """As many entries as there may be, with names of `name` bytes; returns its central directory's size."""
        local, central, at = [], [], 0
        for number in range(MOST_ENTRIES):
            path = f"{number % 500:03}/{number:06}/".ljust(name // 2, "d") + "/"
            path = path.replace("//", "d/").ljust(name, "f")
            local.append(struct.pack("<IHHHHHIIIHH", 0x04034b50, 20, 0, 0, 0, 33, 0, 0, 0, name, 0) + path.encode())
            central.append(struct.pack("<IBBHHHHHIIIHHHHHII", 0x02014b50, 20, 3, 20, 0, 0, 0, 33, 0, 0, 0, name, 0, 0, 0, 0,
                                       0o100644 << 16, at) + path.encode())
            at += len(local[-1])
        size = sum(map(len, central))
        end64 = struct.pack("<IQHHIIQQQQ", 0x06064b50, 44, 45, 45, 0, 0, MOST_ENTRIES, MOST_ENTRIES, size, at)
        locator = struct.pack("<IIQI", 0x07064b50, 0, at + size, 1)
        end = struct.pack("<IHHHHIIH", 0x06054b50, 0, 0, 0xFFFF, 0xFFFF, size, at, 0)
        (self.bucket / "a.zip").write_bytes(b"".join((*local, *central, end64, locator, end)))
        return size

    def test_the_most_entries(self):
        self.write_directory(60)
        self.assertLess(self.peak_of_fetch("-i", "000/*"), PROMISED_OF_ENTRIES)

    def test_the_largest_directory(self):
        """It and what is made of it: nothing that an archive should have, and nothing without a bound."""
        size = self.write_directory(64 * MIB // MOST_ENTRIES - 47)
        self.assertGreater(size, 63 * MIB)
        self.assertLess(self.peak_of_fetch("-i", "000/*"), PROMISED_OF_DIRECTORY)


if __name__ == "__main__":
    unittest.main(argv=sys.argv)
