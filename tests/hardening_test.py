# SPDX-License-Identifier: Apache-2.0
"""What is released is built so that a defect is hard to use, and says what it is made of.

    hardening_test.py BUILD_FOLDER
"""
import json
import re
import shlex
import subprocess
import sys
import unittest
from pathlib import Path

PROGRAMS = ("tmpdump", "tmpdump-prefetch", "exec-wrapper")
LIBRARIES = ("libtmpdump.so", "libtmpdump-preload.so")
FOLDERS = ("client", "daemon", "pack")  # what is released is made of them
ROOT = Path(__file__).resolve().parents[1]
build = Path(sys.argv[1]).resolve()
ARCHITECTURE = subprocess.run(["uname", "-m"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def run(*command):
    return subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, check=True, text=True).stdout


def segments(file):
    """{type: [flags]} of its program headers."""
    found = {}
    for line in run("readelf", "-lW", file).splitlines():
        if match := re.match(r"\s+([A-Z_]+)\s+0x\w+ 0x\w+ 0x\w+ 0x\w+ 0x\w+ (.{3})", line):
            found.setdefault(match[1], []).append(match[2].replace(" ", ""))
    return found


def compiled():
    """(source, its compiler's arguments) of all of ours; a source may be compiled more than once."""
    for entry in json.loads((build / "compile_commands.json").read_text()):
        source = Path(entry["directory"], entry["file"])
        source = source.relative_to(build if source.is_relative_to(build) else ROOT)  # some are made by the build
        if source.parts[0] in FOLDERS:
            yield str(source), shlex.split(entry["command"])


def last(arguments, pattern):
    """The one that counts."""
    return ([word for word in arguments if re.match(pattern, word)] or ["none"])[-1]


class HardeningTest(unittest.TestCase):
    def each(self):
        for name in PROGRAMS:
            with self.subTest(name):
                yield build / "bin" / name, True
        for name in LIBRARIES:
            with self.subTest(name):
                yield build / "lib" / name, False

    def test_addresses_are_the_kernels_choice(self):
        for file, program in self.each():
            self.assertRegex(run("readelf", "-hW", file), r"Type:\s+DYN")
            dynamic = run("readelf", "-dW", file)
            if program:
                self.assertRegex(dynamic, r"FLAGS_1\).* PIE")
                self.assertNotIn("INTERP", segments(file))  # static: no loader, no LD_PRELOAD, no LD_LIBRARY_PATH
            self.assertNotRegex(dynamic, r"\((RPATH|RUNPATH|TEXTREL)\)")

    def test_nothing_is_both_writable_and_executable(self):
        for file, _ in self.each():
            found = segments(file)
            self.assertEqual(found["GNU_STACK"], ["RW"])
            self.assertEqual([flags for flags in found["LOAD"] if "W" in flags and "E" in flags], [])

    def test_tables_of_addresses_are_read_only_after_the_start(self):
        for file, program in self.each():
            self.assertIn("GNU_RELRO", segments(file))
            self.assertRegex(run("readelf", "-dW", file), r"BIND_NOW|FLAGS_1\).* NOW")

    def test_all_of_it_is_compiled_so(self):
        """By the compiler's arguments: a static program has checks' symbols from libc and libcrypto in any case. No exception,
        not even for the shim, whose own functions are what the C library's headers would redirect."""
        sources = {}
        for source, arguments in compiled():
            sources.setdefault(source.split("/")[0], set()).add(source)
            with self.subTest(source):
                self.assertEqual(last(arguments, "-f(no-)?stack-protector"), "-fstack-protector-strong")
                self.assertEqual(last(arguments, "-[UD]_FORTIFY_SOURCE"), "-D_FORTIFY_SOURCE=3")
                self.assertIn(last(arguments, "-O"), ("-O2", "-Os"))  # without one there is nothing of the above
                if ARCHITECTURE == "x86_64":
                    self.assertEqual(last(arguments, "-fcf-protection"), "-fcf-protection=full")
        for folder in FOLDERS:  # were they not found, nothing would have been looked at
            there = {str(path.relative_to(ROOT)) for suffix in ("c", "cpp") for path in (ROOT / folder).rglob(f"*.{suffix}")}
            self.assertEqual(there - sources[folder], set())

    def test_overruns_are_noticed(self):
        """In the libraries, which take everything that is not theirs from elsewhere."""
        for name in LIBRARIES:
            with self.subTest(name):
                symbols = run("nm", build / "lib" / name)
                self.assertIn(" U __stack_chk_fail", symbols)
                self.assertRegex(symbols, r" U __(mem|str)\w+_chk\b")

    def test_branches_land_where_they_may(self):
        """CET's markers, in what is compiled here. The C library's start files of Debian have none, so that the linker
        cannot say it of the whole."""
        if ARCHITECTURE != "x86_64":
            self.skipTest("x86-64's")
        for file, function in ((build / "lib" / "libtmpdump.so", "tmpdump_wait"),
                               (build / "bin" / "tmpdump-prefetch", "main")):
            code = run("objdump", "-d", f"--disassemble={function}", "--no-show-raw-insn", file)
            self.assertRegex(code, rf"<{function}(@@\w+)?>:\n\s+\w+:\s+endbr64")

    def test_version_says_what_is_linked(self):
        common = ["Boost", "OpenSSL", "c-ares", "ISA-L", "zlib", "zstd", "glibc", "GCC"]
        for name, parts in (("tmpdump-prefetch", common), ("tmpdump", [*common, "libdeflate", "CLI11"])):
            said = run(build / "bin" / name, "--version").splitlines()
            self.assertRegex(said[0], rf"^{name} \d+\.\d+\.\d+$")
            self.assertEqual(len(said), 2)
            found = dict(part.rsplit(" ", 1) for part in said[1].split(", "))
            print(said[1])
            self.assertEqual(list(found), parts)
            for version in found.values():
                self.assertRegex(version, r"^\d+(\.\d+)+")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]], verbosity=2)
