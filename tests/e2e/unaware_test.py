# SPDX-License-Identifier: Apache-2.0
"""Functions of which no line knows tmpdump: the exec wrapper starts them, and each library that they load is awaited.

The origin holds back what a function needs until it asks for that, and what it does not need until it is up.
"""
import contextlib
import json
import random
import shutil
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

from emulator import case, manifest, programs
from emulator.case import EXTENSION_NEXT, INIT_DONE, RUNTIME_NEXT, RUNTIME_STARTS
from emulator.gated_origin import GatedOrigin
from emulator.log import NotSaid
from java_test import sum_of_product

WRAPPER, ORIGINAL = "/opt/tmpdump/exec-wrapper", "/opt/humangraphics/lambda-exec-wrapper.sh"
OPENBLAS, UNUSED, PADDING = "lib/libopenblas.so.0", "lib/libunused.so", "lib/padding.bin"
APART = 600_000  # bytes; more than the extension gathers before it decodes them

openblas = None
made = {}  # archives, by what is in them


def prepare(_):
    """Before the namespaces, where Maven's and PyPI's mirrors can be reached; once."""
    global openblas
    programs.tool("java-function")
    programs.tool("python-venv")
    programs.temurin()
    done = subprocess.run([sys.executable, programs.ROOT / "bench" / "workloads.py", "--path", "openblas"],
                          stdout=subprocess.PIPE, text=True, check=True)
    openblas = Path(done.stdout.strip())


def end_of(archive, info):
    """Where the entry's bytes end: where the next one begins."""
    return min((other.header_offset for other in archive.infolist() if other.header_offset > info.header_offset),
               default=archive.start_dir)


class UnawareTest(case.LambdaTest):
    def put(self, awaited, base=None, files=()):
        """The entries of `base` and `files`, then the one that is awaited, then one that nobody asks for."""
        target = self.bucket / "function.zip"
        recipe = (awaited, base, tuple(files))
        if recipe in made:  # to pack OpenBLAS takes seconds
            target.write_bytes(made[recipe])
            return target
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            last = []
            if base:
                with zipfile.ZipFile(base) as source:
                    for info in source.infolist():
                        content = source.read(info)
                        if info.filename == awaited:
                            last.append((info, content))
                        else:
                            archive.writestr(info, content, info.compress_type, 1)
            for name, path in files:
                (last.append((name, path.read_bytes())) if name == awaited else archive.write(path, name))
            archive.writestr(PADDING, random.Random(7).randbytes(APART), zipfile.ZIP_STORED)
            for name, content in last:
                archive.writestr(name, content, zipfile.ZIP_DEFLATED, 1)
            archive.writestr(UNUSED, random.Random(8).randbytes(2_000_000), zipfile.ZIP_STORED)
        made[recipe] = target.read_bytes()
        return target

    def start(self, function, awaited, base=None, files=(), wrapper=WRAPPER, **variables):
        """`awaited` arrives when somebody waits for it, UNUSED when the runtime is ready for its first event."""
        target = self.put(awaited, base, files)
        origin = GatedOrigin(target.read_bytes())
        self.addCleanup(origin.close)
        with zipfile.ZipFile(target) as archive:
            info, unused = archive.getinfo(awaited), archive.getinfo(UNUSED)
            gates = [origin.hold(info.header_offset, end_of(archive, info)),
                     origin.hold(unused.header_offset + APART, end_of(archive, unused))]
        sandbox = self.start_function(programs.wrapped(function, wrapper), origin.endpoint, **variables)
        self.asked = []

        def conduct():
            path = sandbox.tmp / ".tmpdump" / "manifest"
            while not origin.closing.is_set():
                entry = next((entry for entry in self.entries(path) if entry.path == awaited), None)
                if entry and entry.first_wait:
                    break
            self.asked.append(entry)
            gates[0].set()
            with contextlib.suppress(NotSaid):  # the test itself will say so
                sandbox.log.wait_for(RUNTIME_NEXT, 4 * case.DEADLINE_S)
            gates[1].set()

        conductor = threading.Thread(target=conduct)
        conductor.start()
        self.addCleanup(conductor.join)
        self.addCleanup(sandbox.close)  # before the join: it ends the log, and so what the conductor waits for
        self.addCleanup(origin.closing.set)
        return sandbox

    @staticmethod
    def entries(path):
        try:
            return manifest.read(path).entries
        except (OSError, ValueError):
            return []  # not there yet

    def answer(self, sandbox):
        answer = sandbox.invoke()
        self.assertEqual(answer.status, 200, sandbox.log.text())
        said = json.loads(answer.body)
        self.assertNotIn("errorMessage", said, sandbox.log.text())
        return said

    def assert_lazy(self, sandbox, *used):
        """The runtime started and was ready while the prefetch ran, and asked for what it needed and for nothing else."""
        self.assertNotEqual(self.asked[0].state, manifest.PUBLISHED)
        self.assert_in_order(sandbox.log, RUNTIME_STARTS, RUNTIME_NEXT, EXTENSION_NEXT, INIT_DONE)
        self.assertFalse(sandbox.log.has("tmpdump: '"), sandbox.log.text())
        entries = {entry.path: entry for entry in self.entries(sandbox.tmp / ".tmpdump" / "manifest")}
        for name in UNUSED, PADDING:
            self.assertIsNone(entries[name].first_wait)
        for name in used:
            self.assertIsNotNone(entries[name].first_wait, name)
        self.assert_ends_cleanly(sandbox)

    def assert_multiplies(self, home, *used, paths_first=True, **settings):
        sandbox = self.start(programs.java_runtime(home, "e2e.Unaware", paths_first), OPENBLAS, openblas, **settings)
        said = self.answer(sandbox)
        self.assertEqual(said["sum"], sum_of_product(), said)
        self.assertEqual(said["loader"], "AppClassLoader")
        self.assertEqual("Adoptium" in said["java"], home == programs.temurin(), said)
        self.assertIn("/tmp/lib/libopenblas.so.0", said["native"])
        self.assert_lazy(sandbox, "lib/libjniopenblas.so", OPENBLAS, *used)

    @staticmethod
    def debian():
        return Path(shutil.which("java")).resolve().parents[1]

    def temurin(self):
        return programs.temurin() or self.skipTest("no Temurin for this machine")

    def test_java_by_javacpp(self):
        self.assert_multiplies(self.debian(), "lib/libgfortran.so.5")

    def test_java_by_javacpp_not_paths_first(self):
        self.assert_multiplies(self.debian(), paths_first=False)

    def test_java_by_load_library(self):
        self.assert_multiplies(self.debian(), "lib/libopenblas.so", wrapper=ORIGINAL, TEST_LOAD_LIBRARY="openblas")

    def test_temurin_by_javacpp(self):
        self.assert_multiplies(self.temurin(), "lib/libgfortran.so.5")

    def test_temurin_by_javacpp_not_paths_first(self):
        self.assert_multiplies(self.temurin(), paths_first=False)

    def test_temurin_by_load_library(self):
        self.assert_multiplies(self.temurin(), "lib/libopenblas.so", TEST_LOAD_LIBRARY="openblas")

    def test_python_by_ctypes_and_a_package_with_an_extension(self):
        folder, _, _ = programs.python_packages()
        package = sorted(path for path in (folder / "yaml").iterdir() if path.is_file())
        files = [(f"python/yaml/{path.name}", path) for path in package]
        extension = next(name for name, path in files if path.name.startswith("_yaml"))
        sandbox = self.start(programs.python_unaware(), OPENBLAS, openblas, files)
        said = self.answer(sandbox)
        self.assertEqual(said["dot"], sum(2 * number for number in range(1000)))
        self.assertEqual(said["yaml"], [1, {"two": 3}])
        self.assertEqual(said["extension"], f"/tmp/{extension}")
        self.assert_lazy(sandbox, extension, OPENBLAS, "lib/libgfortran.so.5", "lib/libquadmath.so.0")

    def test_node_by_process_dlopen(self):
        function = programs.node_unaware() or self.skipTest("no Node")
        files = [("lib/addon.node", case.programs.addon), ("lib/libleaf.so", case.programs.leaf)]
        for awaited, _ in files:
            with self.subTest(awaited):
                sandbox = self.start(function, awaited, files=files)
                self.assertEqual(self.answer(sandbox), {"answer": 42})
                self.assert_lazy(sandbox, "lib/addon.node", "lib/libleaf.so")


class OtherwiseTest(case.LambdaTest):
    """Other ways of waiting, and what does not come."""

    def start(self, function, **variables):
        return self.start_function(programs.wrapped(function), self.start_origin(), **variables)

    @staticmethod
    def java():
        return programs.java_runtime(UnawareTest.debian(), "e2e.Unaware")

    def test_eager(self):
        shutil.copy(openblas, self.bucket / "function.zip")
        sandbox = self.start(self.java(), TMPDUMP_WAIT="eager")
        answer = sandbox.invoke()
        self.assertEqual((answer.status, json.loads(answer.body).get("sum")), (200, sum_of_product()), sandbox.log.text())
        # The program began when all was there: nobody waited for a single file.
        entries = manifest.read(sandbox.tmp / ".tmpdump" / "manifest").entries
        self.assertEqual([entry.path for entry in entries if entry.first_wait], [])
        self.assert_in_order(sandbox.log, RUNTIME_STARTS, EXTENSION_NEXT, RUNTIME_NEXT)

    def test_the_reason_stands_beside_the_runtimes_own_error(self):
        sandbox = self.start(self.java(), TEST_LOAD_LIBRARY="openblas")  # there is no archive
        sandbox.invoke()
        sandbox.log.wait_for("UnsatisfiedLinkError: no openblas in java.library.path", case.DEADLINE_S)
        sandbox.log.wait_for(r"^tmpdump: '/tmp/lib/libopenblas\.so' did not come: .*function\.zip", case.DEADLINE_S)

    def test_a_bad_setting_is_named(self):
        self.put_archive()
        sandbox = self.start(programs.python_unaware(), TMPDUMP_WAIT_TIMEOUT="soon")
        sandbox.invoke()
        sandbox.log.wait_for("exec-wrapper: error: TMPDUMP_WAIT_TIMEOUT='soon': expected", case.DEADLINE_S)


if __name__ == "__main__":
    case.main()
