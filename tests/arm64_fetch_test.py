# SPDX-License-Identifier: Apache-2.0
"""The arm64 programs under qemu: a fetch from the embedded origin, and what they say.

    arm64_fetch_test.py ORIGIN BUILD_FOLDER EMULATOR
"""
import hashlib
import os
import random
import stat
import subprocess
import sys
import tempfile
import unittest
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "e2e"))
from emulator.origin import ACCESS_KEY, BUCKET, REGION, SECRET_KEY, Origin  # noqa: E402

origin_program = build = emulator = None
MOST_S = 120


def run(program, *arguments, **variables):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TMPDUMP_"))}
    return subprocess.run([emulator, build / "bin" / program, *map(str, arguments)], env=environment | variables, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=MOST_S, check=False)


class Arm64Test(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="tmpdump-arm64-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        (self.folder / BUCKET).mkdir()
        self.files = {f"lib/{number}.bin": random.Random(number).randbytes(50_000) + bytes(150_000) for number in range(40)}
        self.files["lib/large.bin"] = random.Random(41).randbytes(9_000_000)

    def fetch_whole(self, archive):
        with Origin(origin_program, self.folder) as origin:
            done = run("tmpdump", "fetch", f"s3://{BUCKET}/{archive}", "--dest", self.folder / "out", "--endpoint", origin.endpoint,
                       AWS_ACCESS_KEY_ID=ACCESS_KEY, AWS_SECRET_ACCESS_KEY=SECRET_KEY, AWS_REGION=REGION)
        self.assertEqual(done.returncode, 0, done.stdout)
        for name, content in self.files.items():
            found = (self.folder / "out" / name).read_bytes()
            self.assertEqual(hashlib.sha256(found).digest(), hashlib.sha256(content).digest(), name)

    def test_fetches_deflated_entries(self):
        with zipfile.ZipFile(self.folder / BUCKET / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in self.files.items():
                archive.writestr(name, content)
            link = zipfile.ZipInfo("lib/link.bin")
            link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
            archive.writestr(link, "0.bin")
        self.fetch_whole("a.zip")
        self.assertEqual(os.readlink(self.folder / "out/lib/link.bin"), "0.bin")

    def test_packs_and_fetches_what_it_packed(self):
        for name, content in self.files.items():
            (self.folder / name).parent.mkdir(exist_ok=True)
            (self.folder / name).write_bytes(content)
        done = run("tmpdump", "pack", "--fast", self.folder / "lib", "-o", self.folder / BUCKET / "b.zip")
        self.assertEqual(done.returncode, 0, done.stdout)
        self.fetch_whole("b.zip")

    def test_programs_start(self):
        for name in ("tmpdump", "tmpdump-prefetch", "exec-wrapper"):
            done = run(name, "--version")
            self.assertEqual(done.returncode, 0, done.stdout)
            self.assertRegex(done.stdout, rf"^{name} \d")


if __name__ == "__main__":
    origin_program, build, emulator = map(Path, sys.argv[1:4])
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]], verbosity=2)
