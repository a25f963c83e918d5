# SPDX-License-Identifier: Apache-2.0
"""What the stories of tests/pack share: a folder of their own, the program, and files to pack."""
import os
import random
import shutil
import struct
import subprocess
import tempfile
import unittest
from pathlib import Path

FAILED, USAGE, NOT_FOUND, BAD_ARCHIVE, DENIED = 1, 2, 3, 4, 5
TMPDUMP = os.environ["TMPDUMP_PROGRAM"]


def library(needed=(), soname=None, filler=b""):
    """The smallest shared library that has a dynamic section."""
    strings, dynamic = bytearray(b"\0"), []
    for tag, text in [*((1, name) for name in needed), *([(14, soname)] if soname else [])]:
        dynamic.append((tag, len(strings)))
        strings += text.encode() + b"\0"
    base, dynamic_at = 0x10000, 64 + 2 * 56
    dynamic_size = 16 * (len(dynamic) + 3)
    strings_at = dynamic_at + dynamic_size
    dynamic += [(5, base + strings_at), (10, len(strings)), (0, 0)]
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 3, 62, 1, 0, 64, 0, 0, 64, 56, 2, 64, 0, 0)
    end = strings_at + len(strings)
    load = struct.pack("<IIQQQQQQ", 1, 4, 0, base, base, end, end, 4096)
    section = struct.pack("<IIQQQQQQ", 2, 4, dynamic_at, base + dynamic_at, base + dynamic_at, dynamic_size, dynamic_size, 8)
    return header + load + section + b"".join(struct.pack("<qQ", *entry) for entry in dynamic) + bytes(strings) + filler


def code(size, seed=0):
    """Bytes that compress to about half, with repeats both near and far."""
    source = random.Random(seed)
    words = [source.randbytes(24) for _ in range(512)]
    out = bytearray()
    while len(out) < size:
        out += source.choice(words) + source.randbytes(8)
    return bytes(out[:size])


class Story(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="tmpdump-pack-test-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def write(self, path, content=b"x", mode=0o644):
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content if isinstance(content, bytes) else content.encode())
        place.chmod(mode)
        return place

    def link(self, path, target):
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(target)

    def full_disk(self, name, mib, command):
        """`command` writes small/NAME anew where NAME is and a file system of so many MiB is full: it fails, says so, and
        NAME is what it was.
        """
        (self.folder / "small").mkdir()
        script = (f"mount -t tmpfs -o size={mib}m none {self.folder}/small && cp {name} small/ && "
                  f"{{ {command}; code=$?; }} && cmp {name} small/{name} && ls -A small && exit $code")
        done = subprocess.run(["unshare", "-rm", "sh", "-c", script], cwd=self.folder, capture_output=True, text=True)
        if "unshare" in done.stderr or "mount:" in done.stderr:
            self.skipTest(done.stderr.strip())
        self.assertEqual((done.returncode, done.stdout), (FAILED, f"{name}\n"), done.stderr)
        self.assertIn("No space left on device; what was there before is untouched", done.stderr)

    def with_threads(self, most, *arguments):
        """Run by a user who may have no more threads, the program's first one counted."""
        if os.geteuid() != 0:
            self.skipTest("not root, who can become a user that has no other process")
        program = shutil.copy(TMPDUMP, self.folder / "program")  # the build may lie where only root goes
        (self.folder / "tmp").mkdir(exist_ok=True)
        for place in self.folder, self.folder / "tmp":
            place.chmod(0o777)
        # LeakSanitizer looks by a thread of its own.
        options = {"TMPDIR": str(self.folder / "tmp"), "ASAN_OPTIONS": f"{os.environ.get('ASAN_OPTIONS', '')}:detect_leaks=0"}
        return subprocess.run(["prlimit", f"--nproc={most}:{most}", "setpriv", "--reuid", "54321", "--clear-groups", program,
                               *map(str, arguments)], cwd=self.folder, capture_output=True, text=True, timeout=120,
                              env={**os.environ, **options})

    def run_tmpdump(self, *arguments, **options):
        words = [TMPDUMP, *map(str, arguments)]
        return subprocess.run(words, cwd=self.folder, capture_output=True, text=True, timeout=120,
                              env={**os.environ, "TMPDIR": str(self.folder / "tmp"), **options.pop("env", {})}, **options)

    def tmpdump(self, *arguments, **options):
        """Must work; returns what it printed."""
        (self.folder / "tmp").mkdir(exist_ok=True)
        done = self.run_tmpdump(*arguments, **options)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(os.listdir(self.folder / "tmp"), [], "the workspace stays")
        return done.stdout

    def refused(self, status, *arguments, says=(), **options):
        (self.folder / "tmp").mkdir(exist_ok=True)
        done = self.run_tmpdump(*arguments, **options)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        self.assertRegex(done.stderr, r"tmpdump: error: [^\n]*\n\Z")
        for words in [says] if isinstance(says, str) else says:
            self.assertIn(words, done.stderr)
        self.assertEqual(os.listdir(self.folder / "tmp"), [], "the workspace stays")
        return done.stderr

    def fetched(self, archive, **variables):
        """{path: content, link target, or None for a directory} as the reader unpacks it."""
        out = self.folder / f"out-{len(list(self.folder.glob('out-*')))}"
        self.tmpdump("fetch", archive, "--dest", out, "-q", env=variables)
        found = {}
        for place in sorted(out.rglob("*")):
            name = str(place.relative_to(out))
            if name.startswith(".tmpdump"):
                continue
            if place.is_symlink():
                found[name] = f"-> {os.readlink(place)}"
            elif not place.is_dir():
                found[name] = place.read_bytes()
            elif not any(place.iterdir()):
                found[name] = None
        return found
