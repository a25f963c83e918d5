# SPDX-License-Identifier: Apache-2.0
"""The preload shim in programs that know nothing of tmpdump: C, Python's ctypes, a JVM.

preload_test.py SHIM MANIFEST_DAEMON LIBRARIES PROBE STATIC_PROGRAM [unittest's arguments]

TMPDUMP_EMULATOR: the command that runs PROBE and STATIC_PROGRAM, where they are not this machine's.
"""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "e2e"))
sys.dont_write_bytecode = True
from emulator import manifest  # noqa: E402
from support.manifest_daemon import Daemon  # noqa: E402

LIMIT_S = 120
OF_FILES = ("stat stat64 lstat lstat64 fstatat fstatat64 __xstat __xstat64 __lxstat __lxstat64 __fxstatat "
            "__fxstatat64 statx access faccessat open open64 openat openat64 __open_2 __open64_2 __openat_2 "
            "__openat64_2 nofollow fopen fopen64 realpath __realpath_chk canonicalize_file_name").split()
OF_LIBRARIES = ["dlopen", "dlmopen"]
OF_DIRECTORIES = "opendir fdopendir descend scandir scandir64".split()


class Story(unittest.TestCase):
    def setUp(self):
        self.scratch = Path(tempfile.mkdtemp(prefix="tmpdump-test-"))
        self.addCleanup(shutil.rmtree, self.scratch)
        self.destination = self.scratch / "destination"
        self.environment = {"PATH": os.environ["PATH"], "TMPDUMP_DEST": str(self.destination), "LD_PRELOAD": SHIM}

    def path(self, name):
        return str(self.destination / name)

    def daemon(self, *orders):
        daemon = Daemon(DAEMON, self.destination, *orders)
        self.addCleanup(daemon.kill)
        return daemon

    def holds(self, *names, more=""):
        """A daemon whose archive has these of the test's libraries, by the paths that they have in it."""
        return self.daemon("list " + " ".join(f"{name}<{LIBRARIES}/{Path(name).name}" for name in names) + " " + more)

    def begin(self, *command, directory=None, **variables):
        if command[0] in (PROBE, STATIC):
            command = (*EMULATOR, *command)
        process = subprocess.Popen(command, env={**self.environment, **variables}, text=True, cwd=directory or "/",
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(self.abandon, process)
        return process

    def abandon(self, process):
        if not process.stdout.closed:  # a test that failed
            process.kill()
            process.communicate()

    def end(self, process, error=""):
        out, said = process.communicate(timeout=LIMIT_S)
        if error is not None:
            self.assertEqual(said, error, out)
        return out

    def probe(self, *arguments, **settings):
        """Runs to its end; nothing may be on stderr."""
        return self.end(self.begin(PROBE, *arguments, **settings))

    def entry(self, name):
        return next(entry for entry in manifest.read(self.destination / ".tmpdump/manifest").entries if entry.path == name)

    def until_wanted(self, name, process=None):
        while self.entry(name).first_wait is None:
            if process is not None and process.poll() is not None:
                self.fail(f"it ended: {process.communicate()}")

    def assert_waits(self, process, name):
        self.until_wanted(name, process)
        self.assertIsNone(process.poll())


class WaitTest(Story):
    def test_every_call_waits_for_its_file_alone(self):
        for call in OF_FILES:
            with self.subTest(call):
                # libbranch.so needs libleaf.so, but to look at it takes nothing else.
                daemon = self.holds("lib/libbranch.so", "lib/libleaf.so")
                process = self.begin(PROBE, call, self.path("lib/libbranch.so"))
                self.assert_waits(process, "lib/libbranch.so")
                daemon.order("publish lib/libbranch.so")
                self.assertEqual(self.end(process), f"{call} 0\n")
                self.assertIsNone(self.entry("lib/libleaf.so").first_wait)
                daemon.kill()

    def test_a_load_waits_for_all_that_the_library_needs(self):
        for call in OF_LIBRARIES:
            with self.subTest(call):
                daemon = self.holds("lib/libbranch.so", "lib/libleaf.so", "lib/libcaller.so")
                process = self.begin(PROBE, call, self.path("lib/libbranch.so"))
                self.assert_waits(process, "lib/libbranch.so")
                daemon.order("publish lib/libbranch.so")
                self.assert_waits(process, "lib/libleaf.so")
                daemon.order("publish lib/libleaf.so")
                self.assertEqual(self.end(process), f"{call} 43\n")
                self.assertIsNone(self.entry("lib/libcaller.so").first_wait)
                daemon.kill()

    def test_to_list_a_directory_waits_for_its_names(self):
        for call in OF_DIRECTORIES:
            with self.subTest(call):
                daemon = self.daemon("list lib/ lib/a.txt lib/deep/b.txt lib/deep/c.txt lib/sub/ lib/sub/d.txt e.txt")
                process = self.begin(PROBE, call, self.path("lib"))
                self.assert_waits(process, "lib")
                for name in "lib", "lib/a.txt", "lib/sub", "lib/deep/b.txt":
                    self.assertIsNone(process.poll())
                    daemon.order(f"publish {name}")
                self.assertEqual(self.end(process), f"{call} 3\n")
                self.assertIsNone(self.entry("lib/a.txt").first_wait)  # it was listed, not used
                daemon.kill()

    def test_to_list_half_of_a_directory_takes_the_time_limit(self):
        daemon = self.daemon("list lib/ lib/a.txt lib/b.txt")
        for name in "lib", "lib/a.txt":
            daemon.order(f"publish {name}")
        for call in OF_DIRECTORIES:
            with self.subTest(call):
                process = self.begin(PROBE, call, self.path("lib"), TMPDUMP_WAIT_TIMEOUT="0")
                told = f"tmpdump: '{self.path('lib')}' did not come: the time limit passed before it was ready\n"
                self.assertEqual(self.end(process, told), f"{call} 1\n")

    def test_a_directory_without_an_entry_is_there_with_its_first_file(self):
        daemon = self.daemon("list python/pkg/a.txt python/pkg/b.txt other.txt")
        looker = self.begin(PROBE, "stat", self.path("python"))
        lister = self.begin(PROBE, "opendir", self.path("python/pkg"))
        daemon.order("publish python/pkg/a.txt")
        self.assertEqual(self.end(looker), "stat 0\n")
        self.assertIsNone(lister.poll())
        daemon.order("publish python/pkg/b.txt")
        self.assertEqual(self.end(lister), "opendir 2\n")
        self.assertEqual(self.probe("opendir", self.path("python"), TMPDUMP_WAIT_TIMEOUT="0"), "opendir 1\n")

    def test_before_the_list_of_files_is_known(self):
        daemon = self.daemon()
        process = self.begin(PROBE, "stat", self.path("lib/libnone.so"), "dlopen", self.path("lib/libleaf.so"))
        # Elsewhere, and what a JVM makes for itself, goes through meanwhile.
        self.assertEqual(self.probe("stat", "/etc", "opendir", str(self.scratch), "stat", self.path("hsperfdata_root")),
                         "stat 0\nopendir 1\nstat -1\n")
        self.assertIsNone(process.poll())
        daemon.order(f"list lib/libleaf.so<{LIBRARIES}/libleaf.so")
        self.until_wanted("lib/libleaf.so", process)
        daemon.order("publish lib/libleaf.so")
        self.assertEqual(self.end(process), "stat -1\ndlopen 42\n")

    def test_names_that_the_archive_does_not_hold(self):
        self.holds("lib/libleaf.so")
        # Nothing is ever published: whatever waited would wait until the time limit of the test.
        for name in "lib/libnone.so", "lib/libleaf.so.1", "lib/libleaf.s", "none/at/all", ".tmpdump/manifest":
            self.probe("stat", self.path(name), "open", self.path(name), "access", self.path(name))
        shutil.copy(f"{LIBRARIES}/libleaf.so", self.scratch)
        self.assertEqual(self.probe("dlopen", str(self.scratch / "libleaf.so"), "stat", str(self.scratch),
                                    "noload", self.path("lib/libleaf.so")), "dlopen 42\nstat 0\nnoload 0\n")
        self.assertIsNone(self.entry("lib/libleaf.so").first_wait)

    def test_symbolic_links(self):
        daemon = self.daemon(f"list lib64@lib lib/ lib/libleaf.so@libleaf.so.1 lib/libleaf.so.1<{LIBRARIES}/libleaf.so")
        for name in "lib64", "lib", "lib/libleaf.so":
            daemon.order(f"publish {name}")
        self.assertEqual(self.probe("lstat", self.path("lib/libleaf.so"), "nofollow", self.path("lib64/libleaf.so")),
                         "lstat 0\nnofollow 0\n")
        self.assertIsNone(self.entry("lib/libleaf.so.1").first_wait)
        through = self.begin(PROBE, "stat", self.path("lib64/libleaf.so"), "dlopen", self.path("lib64/libleaf.so"))
        self.assert_waits(through, "lib/libleaf.so.1")
        daemon.order("publish lib/libleaf.so.1")
        self.assertEqual(self.end(through), "stat 0\ndlopen 42\n")

    def test_the_destination_by_another_name(self):
        daemon = self.holds("lib/libleaf.so")
        alias = self.scratch / "alias"
        alias.symlink_to(self.destination)
        # As Java does: looks for it by the one name, loads it by the other.
        process = self.begin(PROBE, "lstat", str(alias / "none"), "dlopen", self.path("lib/libleaf.so"),
                             TMPDUMP_DEST=str(alias) + "/")
        self.assert_waits(process, "lib/libleaf.so")
        daemon.order("publish lib/libleaf.so")
        self.assertEqual(self.end(process), "lstat -1\ndlopen 42\n")

    def test_relative_names(self):
        daemon = self.holds("lib/libleaf.so", "lib/libbranch.so")
        outside = self.begin(PROBE, "stat", "lib/libleaf.so", "chdir", str(self.destination), "dlopen", "lib/libbranch.so")
        (self.destination / "lib").mkdir()
        inside = self.begin(PROBE, "dlopen", "./libbranch.so", directory=self.path("lib"))
        for process in outside, inside:
            self.assert_waits(process, "lib/libbranch.so")
        daemon.order("publish lib/libbranch.so")
        daemon.order("publish lib/libleaf.so")
        self.assertEqual(self.end(outside), "stat -1\nchdir 0\ndlopen 43\n")
        self.assertEqual(self.end(inside), "dlopen 43\n")
        relative = os.path.relpath(self.path("lib"), "/")
        self.assertEqual(self.probe("stat", relative + "/libleaf.so", directory="/"), "stat 0\n")

    def test_relative_names_where_the_destination_has_another_name(self):
        daemon = self.holds("lib/libleaf.so")
        alias = self.scratch / "alias"
        alias.symlink_to(self.destination)
        # By the first of them the destination's own name is not known yet, so it seems to lead elsewhere.
        process = self.begin(PROBE, "stat", "none", "lstat", str(alias / "none"), "dlopen", "./lib/libleaf.so",
                             directory=str(self.destination), TMPDUMP_DEST=str(alias))
        self.assert_waits(process, "lib/libleaf.so")
        daemon.order("publish lib/libleaf.so")
        self.assertEqual(self.end(process), "stat -1\nlstat -1\ndlopen 42\n")


class SearchTest(Story):
    """Names without a slash, where the loader's own search decides."""

    def setUp(self):
        super().setUp()
        (self.destination / "lib").mkdir(parents=True)

    def holds(self, *names, more=""):
        daemon = super().holds(*names, more=more)
        (self.destination / "lib").mkdir(exist_ok=True)  # as the exec wrapper does
        return daemon

    def test_along_ld_library_path(self):
        daemon = self.holds("lib/libbranch.so", "lib/libleaf.so")
        process = self.begin(PROBE, "dlopen", "libbranch.so", LD_LIBRARY_PATH=f"/nowhere:{self.path('lib')}")
        self.assert_waits(process, "lib/libbranch.so")
        daemon.order("publish lib/libbranch.so")
        daemon.order("publish lib/libleaf.so")
        self.assertEqual(self.end(process), "dlopen 43\n")

    def test_before_the_list_of_files_is_known(self):
        daemon = self.daemon()
        (self.destination / "lib").mkdir()
        process = self.begin(PROBE, "dlopen", "libleaf.so", "dlopen", "libnone.so", LD_LIBRARY_PATH=self.path("lib"))
        self.assertIsNone(process.poll())
        daemon.order(f"list lib/libleaf.so<{LIBRARIES}/libleaf.so")
        daemon.order("publish lib/libleaf.so")
        self.assertRegex(self.end(process), "^dlopen 42\nlibnone.so: cannot open")

    def test_one_that_comes_first_is_taken_without_a_wait(self):
        self.holds("lib/libleaf.so")
        shutil.copy(f"{LIBRARIES}/libleaf.so", self.scratch)
        self.assertEqual(self.probe("dlopen", "libleaf.so", LD_LIBRARY_PATH=f"{self.scratch}:{self.path('lib')}"),
                         "dlopen 42\n")
        # One of that name is loaded already: the loader does not look any more.
        self.assertEqual(self.probe("dlopen", str(self.scratch / "libleaf.so"), "dlopen", "libleaf.so",
                                    LD_LIBRARY_PATH=self.path("lib")), "dlopen 42\ndlopen 42\n")
        self.assertIsNone(self.entry("lib/libleaf.so").first_wait)

    def test_the_callers_runpath(self):
        """It works with the shim because its dlopen ends in a jump; and it is waited along."""
        daemon = self.holds("lib/libcaller.so", "lib/inner/libbranch.so", "lib/inner/libleaf.so")
        daemon.order("publish lib/libcaller.so")
        for name in "libbranch.so", "$ORIGIN/inner/libbranch.so":
            process = self.begin(PROBE, "from", self.path("lib/libcaller.so"), name)
            if name == "libbranch.so":
                self.assert_waits(process, "lib/inner/libbranch.so")
                daemon.order("publish lib/inner/libbranch.so")
                daemon.order("publish lib/inner/libleaf.so")
            self.assertEqual(self.end(process), f"{name} 43\n")

    def test_a_callers_runpath_elsewhere(self):
        self.holds("lib/libbranch.so")
        (self.scratch / "inner").mkdir()
        for source, target in ("caller", "."), ("leaf", "inner"), ("branch", "inner"):
            shutil.copy(f"{LIBRARIES}/lib{source}.so", self.scratch / target)
        self.assertEqual(self.probe("from", str(self.scratch / "libcaller.so"), "libbranch.so"), "libbranch.so 43\n")
        self.assertIn("cannot open", self.probe("dlopen", "libbranch.so"))


class TransparentTest(Story):
    def test_every_call_is_as_without_it(self):
        self.holds("lib/libleaf.so")
        said = []
        for shim in SHIM, "":
            folder = self.scratch / "folder"
            folder.mkdir()
            said.append(self.probe("transcript", str(folder), LD_PRELOAD=shim))
            shutil.rmtree(folder)
        self.assertEqual(*said)
        for line in "made 640", "made2 600", "nameless 604", "made3 4711", "empty path 0", "dlerror again: 1":
            self.assertIn(f"\n{line}", said[0])

    def test_no_daemon(self):
        for make in lambda: None, self.destination.mkdir, (self.destination / ".tmpdump").mkdir:
            make()
            self.assertRegex(self.probe("stat", self.path("lib/libleaf.so"), "dlopen", self.path("lib/libleaf.so")),
                             "^stat -1\n.*libleaf.so: cannot open shared object file: No such file or directory\ndlopen -1\n$")

    def test_wait_none_makes_it_do_nothing(self):
        self.holds("lib/libleaf.so")
        self.assertIn("dlopen -1", self.probe("dlopen", self.path("lib/libleaf.so"), TMPDUMP_WAIT="none"))

    def test_static_programs_and_odd_settings(self):
        self.daemon()
        self.assertEqual(self.end(self.begin(STATIC)), "static\n")
        self.assertEqual(self.probe("stat", "/etc", TMPDUMP_DEST="relative", TMPDUMP_WAIT_TIMEOUT="x"), "stat 0\n")
        self.assertEqual(self.probe("stat", "/etc", TMPDUMP_DEST="/"), "stat 0\n")


class FailureTest(Story):
    def assert_told(self, process, *words, calls="dlopen -1\n"):
        out, error = process.communicate(timeout=LIMIT_S)
        self.assertIn("cannot open shared object file", out)  # the runtime's own error
        self.assertTrue(out.endswith(calls), out)
        self.assertRegex(error, r"\Atmpdump: '[^\n]*' did not come: [^\n]*\n\Z")
        for word in words:
            self.assertIn(word, error)

    def test_the_daemon_gives_up(self):
        daemon = self.holds("lib/libleaf.so", "lib/libbranch.so")
        process = self.begin(PROBE, "stat", self.path("lib/libbranch.so"), "access", self.path("lib/libleaf.so"),
                             "dlopen", self.path("lib/libbranch.so"))
        self.until_wanted("lib/libbranch.so", process)
        daemon.order("fail s3://bucket/key: access denied")
        self.assert_told(process, self.path("lib/libbranch.so"), "s3://bucket/key: access denied")

    def test_a_name_cannot_turn_or_end_the_line(self):
        daemon = self.daemon()
        process = self.begin(PROBE, "dlopen", self.path("lib/\u202egpj\u2028\u00fc.so"))
        daemon.order("fail s3://bucket/key: no such object")
        self.assert_told(process, self.path("lib/???gpj???\u00fc.so"))

    def test_it_gives_up_before_it_knows_the_files(self):
        daemon = self.daemon()
        process = self.begin(PROBE, "dlopen", self.path("lib/libleaf.so"))
        daemon.order("fail s3://bucket/key: no such object")
        self.assert_told(process, "s3://bucket/key: no such object")
        # Who does not look for a library is not told.
        self.assertEqual(self.probe("stat", self.path("settings.json"), "open", self.path("tmp.x")), "stat -1\nopen -1\n")

    def test_the_daemon_dies(self):
        daemon = self.holds("lib/libleaf.so")
        process = self.begin(PROBE, "dlopen", self.path("lib/libleaf.so"))
        self.until_wanted("lib/libleaf.so", process)
        daemon.kill()
        self.assert_told(process, "ended before it was ready")

    def test_the_time_limit(self):
        self.holds("lib/libleaf.so")
        self.assert_told(self.begin(PROBE, "dlopen", self.path("lib/libleaf.so"), TMPDUMP_WAIT_TIMEOUT="0"), "time limit")

    def test_what_is_published_stays_good(self):
        daemon = self.holds("lib/libleaf.so", "lib/libbranch.so")
        daemon.order("publish lib/libleaf.so")
        daemon.order("fail the rest is damaged")
        self.assertEqual(self.probe("stat", self.path("lib/libleaf.so"), "dlopen", self.path("lib/libleaf.so")),
                         "stat 0\ndlopen 42\n")

    def test_an_untrusted_manifest(self):
        self.holds("lib/libleaf.so")
        (self.destination / ".tmpdump").chmod(0o777)
        self.assert_told(self.begin(PROBE, "dlopen", self.path("lib/libleaf.so")), "somebody else")


class ProcessTest(Story):
    def test_many_threads(self):
        daemon = self.holds("lib/libbranch.so", "lib/libleaf.so")
        process = self.begin(PROBE, "threads", self.path("lib/libbranch.so"))
        self.assert_waits(process, "lib/libbranch.so")
        daemon.order("publish lib/libbranch.so")
        self.assert_waits(process, "lib/libleaf.so")
        daemon.order("publish lib/libleaf.so")
        self.assertEqual(self.end(process), f"sum {48 * 43}\n")

    def test_a_thread_that_a_library_waits_for_while_it_is_loaded(self):
        """Its constructor holds the loader's lock: the shim must not ask the loader for anything by then."""
        library = f"{LIBRARIES}/libjoiner.so"
        for settings in {"LD_PRELOAD": ""}, {}, {"TMPDUMP_WAIT": "none"}:
            self.assertEqual(self.probe("dlopen", library, **settings), "dlopen 1\n")

    def test_a_forked_child(self):
        daemon = self.holds("lib/libleaf.so")
        process = self.begin(PROBE, "fork", "dlopen", self.path("lib/libleaf.so"))
        self.assert_waits(process, "lib/libleaf.so")
        daemon.order("publish lib/libleaf.so")
        self.assertEqual(self.end(process), "child 42\n")

    def test_a_program_started_by_vfork(self):
        daemon = self.holds("lib/libleaf.so")
        process = self.begin(PROBE, "vfork", PROBE, "dlopen", self.path("lib/libleaf.so"))
        self.assert_waits(process, "lib/libleaf.so")
        daemon.order("publish lib/libleaf.so")
        self.assertEqual(self.end(process), "dlopen 42\nchild 0\n")
        self.assertEqual(self.probe("vfork", STATIC), "static\nchild 0\n")

    def test_children_without_it(self):
        """TMPDUMP_PRELOAD_CHILDREN=0: this program waits, those that it starts do not."""
        daemon = self.holds("lib/libleaf.so")
        outcome = self.probe("vfork", PROBE, "dlopen", self.path("lib/libleaf.so"), TMPDUMP_PRELOAD_CHILDREN="0")
        self.assertRegex(outcome, "cannot open.*\ndlopen -1\nchild 0\n$")
        show = ["vfork", "/bin/sh", "-c", "echo \"[${LD_PRELOAD-none}]\""]
        shims = self.scratch / "shims"
        shims.mkdir()
        shutil.copy(SHIM, shims)
        for preload, left in ((SHIM, "none"), (f"libm.so.6:{SHIM}", "libm.so.6"), (f"{SHIM} libm.so.6", "libm.so.6"),
                              (f"libm.so.6 {SHIM}:libdl.so.2", "libm.so.6:libdl.so.2"), (f":{SHIM}:", "none")):
            self.assertEqual(self.probe(*show, LD_PRELOAD=preload, TMPDUMP_PRELOAD_CHILDREN="0"), f"[{left}]\nchild 0\n")
            self.assertEqual(self.probe(*show, LD_PRELOAD=preload), f"[{preload}]\nchild 0\n")
        daemon.order("publish lib/libleaf.so")
        self.assertEqual(self.probe("dlopen", self.path("lib/libleaf.so"), TMPDUMP_PRELOAD_CHILDREN="0"), "dlopen 42\n")


    def test_behind_a_filter_of_system_calls(self):
        daemon = self.holds("lib/libbranch.so", "lib/libleaf.so")
        process = self.begin(PROBE, "filtered", "statx", self.path("lib/libbranch.so"), "dlopen", self.path("lib/libbranch.so"))
        self.assert_waits(process, "lib/libbranch.so")
        daemon.order("publish lib/libbranch.so")
        self.assert_waits(process, "lib/libleaf.so")
        daemon.order("publish lib/libleaf.so")
        self.assertEqual(self.end(process), "filtered 0\nstatx -1\ndlopen 43\n")


class PythonTest(Story):
    def test_ctypes(self):
        daemon = self.holds("lib/libbranch.so", "lib/libleaf.so")
        (self.destination / "lib").mkdir()
        for name in self.path("lib/libbranch.so"), "libbranch.so":
            process = self.begin(sys.executable, "-ISc", f"import ctypes; print(ctypes.CDLL('{name}').branch())",
                                 LD_LIBRARY_PATH=self.path("lib"))
            if name != "libbranch.so":
                self.assert_waits(process, "lib/libbranch.so")
                daemon.order("publish lib/libbranch.so")
                self.assert_waits(process, "lib/libleaf.so")
                daemon.order("publish lib/libleaf.so")
            self.assertEqual(self.end(process), "43\n")

    def test_a_package_is_imported(self):
        for name, text in ("module.py", "answer = 44\n"), ("__init__.py", ""), ("big.bin", "big"):
            (self.scratch / name).write_text(text)
        daemon = self.daemon("list " + " ".join(f"{name}<{self.scratch}/{Path(name).name}" for name in (
            "python/pkg/__init__.py", "python/pkg/module.py", "python/big.bin", "big.bin")))
        code = f"import sys; sys.path.append({self.path('python')!r}); import pkg.module; print(pkg.module.answer)"
        process = self.begin(sys.executable, "-ISBc", code)
        for name in "python/big.bin", "python/pkg/__init__.py", "python/pkg/module.py":  # all that a search lists
            self.assertIsNone(process.poll())
            daemon.order(f"publish {name}")
        self.assertEqual(self.end(process), "44\n")


JAVA = """public final class Load {
  public static void main(String[] arguments) {
    if (arguments[0].startsWith("/")) System.load(arguments[0]); else System.loadLibrary(arguments[0]);
    System.out.println("loaded");
  }
}
"""


class JavaTest(Story):
    @classmethod
    def setUpClass(cls):
        if not shutil.which("javac"):
            raise unittest.SkipTest("no JDK")
        cls.classes = Path(tempfile.mkdtemp(prefix="tmpdump-test-"))
        cls.addClassCleanup(shutil.rmtree, cls.classes)
        (cls.classes / "Load.java").write_text(JAVA)
        subprocess.run(["javac", "-d", cls.classes, cls.classes / "Load.java"], check=True)

    def java(self, library, **settings):
        return self.begin("java", "-Xshare:auto", f"-Djava.library.path=/nowhere:{self.path('lib')}", "-cp", str(self.classes),
                          "Load", library, **settings)

    def test_a_library_by_its_name_and_by_its_path(self):
        for library in "branch", self.path("lib/libbranch.so"):
            daemon = self.holds("lib/libbranch.so", "lib/libleaf.so", "lib/libcaller.so")
            process = self.java(library)
            self.assert_waits(process, "lib/libbranch.so")
            daemon.order("publish lib/libbranch.so")
            self.assert_waits(process, "lib/libleaf.so")
            daemon.order("publish lib/libleaf.so")
            self.assertEqual(self.end(process), "loaded\n")
            self.assertIsNone(self.entry("lib/libcaller.so").first_wait)
            daemon.kill()

    def test_the_daemon_gives_up(self):
        daemon = self.holds("lib/libbranch.so", "lib/libleaf.so")
        process = self.java("branch")
        self.until_wanted("lib/libbranch.so", process)
        daemon.order("fail s3://bucket/key: access denied")
        out, error = process.communicate(timeout=LIMIT_S)
        self.assertEqual((process.returncode, out), (1, ""))
        self.assertIn("java.lang.UnsatisfiedLinkError: no branch in java.library.path", error)
        self.assertEqual([line for line in error.splitlines() if line.startswith("tmpdump: ")], [
            f"tmpdump: '{self.path('lib/libbranch.so')}' did not come: s3://bucket/key: access denied"])


if __name__ == "__main__":
    SHIM, DAEMON, LIBRARIES, PROBE, STATIC = sys.argv[1:6]
    EMULATOR = os.environ.get("TMPDUMP_EMULATOR", "").split()
    unittest.main(argv=[sys.argv[0], *sys.argv[6:]])
