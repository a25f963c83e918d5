# SPDX-License-Identifier: Apache-2.0
"""The program exec-wrapper: a symbolic link to it, the real loader, a real JVM with its archive of shared classes.

wrapper_test.py EXEC_WRAPPER MANIFEST_DAEMON LIBRARIES
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path

from support.manifest_daemon import Daemon

FAILED, USAGE, NOT_FOUND, DENIED = 1, 2, 3, 5
SHOW = "import json, os, sys; print(json.dumps([sys.argv[1:], dict(os.environ)]))"
LIMIT_S = 120
# What a function's environment holds, and no error may show.
SECRETS = {"AWS_SECRET_ACCESS_KEY": "wJalrSECRETkey", "AWS_SESSION_TOKEN": "tokenTHATnobodySees",
           "AWS_CONTAINER_AUTHORIZATION_TOKEN": "authorizationTHATnobodySees", "DATABASE_PASSWORD": "hunter2hunter2",
           "TMPDUMP_URI": "https://host/archive.zip?X-Amz-Signature=0123456789abcdef"}


class Story(unittest.TestCase):
    def setUp(self):
        self.scratch = Path(tempfile.mkdtemp(prefix="tmpdump-test-"))
        self.addCleanup(shutil.rmtree, self.scratch)
        self.destination = self.scratch / "destination"
        self.environment = {"PATH": os.environ["PATH"], "TMPDUMP_DEST": str(self.destination)} | SECRETS

    def assert_no_secret(self, done):
        for name, value in SECRETS.items():
            self.assertNotIn(value, done.stdout + done.stderr, name)

    def daemon(self, *orders):
        daemon = Daemon(DAEMON, self.destination, *orders)
        self.addCleanup(daemon.end)
        return daemon

    def run_wrapped(self, *command, wrapper=None, **variables):
        return subprocess.run([wrapper or WRAPPER, *command], env={**self.environment, **variables}, text=True,
                              capture_output=True, timeout=LIMIT_S, check=False)

    def wrapped(self, *command, **settings):
        done = self.run_wrapped(*command, **settings)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        return done.stdout

    def assert_error(self, done, status, *words):
        self.assert_no_secret(done)
        self.assertEqual((done.returncode, done.stdout), (status, ""), done.stderr)
        self.assertRegex(done.stderr, r"\Aexec-wrapper: error: [^\n\x1b\u202e\u2028]*\n\Z")
        for word in words:
            self.assertIn(word, done.stderr)


class ProgramTest(Story):
    def test_becomes_the_program(self):
        arguments = ["-cp", "x y", "", "Main", "\u00fc\n"]
        said, environment = json.loads(self.wrapped(sys.executable, "-c", SHOW, *arguments, ODD="a=b"))
        self.assertEqual((said, environment["ODD"]), (arguments, "a=b"))
        self.assertEqual(environment["LD_LIBRARY_PATH"].split(":")[0], f"{self.destination}/lib")
        self.assertEqual(self.run_wrapped("sh", "-c", "exit 7").returncode, 7)
        process = subprocess.Popen([WRAPPER, "sh", "-c", "echo $$"], stdout=subprocess.PIPE, text=True)
        self.assertEqual(process.communicate(timeout=LIMIT_S)[0], f"{process.pid}\n")

    def test_by_the_name_of_the_original_layer(self):
        link = self.scratch / "lambda-exec-wrapper.sh"
        link.symlink_to(WRAPPER)
        direct = json.loads(self.wrapped(sys.executable, "-c", SHOW))
        self.assertEqual(json.loads(self.wrapped(sys.executable, "-c", SHOW, wrapper=link)), direct)

    def test_errors_are_one_line(self):
        self.assert_error(self.run_wrapped(), USAGE, "no program", "--help")
        self.assert_error(self.run_wrapped("/nowhere/java"), NOT_FOUND, "'/nowhere/java'", "No such file")
        self.assert_error(self.run_wrapped(str(self.scratch)), DENIED, str(self.scratch))
        (self.scratch / "text").write_text("no program")
        (self.scratch / "text").chmod(0o755)
        for name, value in ("TMPDUMP_WAIT", "soon"), ("TMPDUMP_WAIT_TIMEOUT", "x"), ("TMPDUMP_DEST", "tmp"):
            self.assert_error(self.run_wrapped("true", **{name: value}), USAGE, f"{name}='{value}'", "expected")

    def test_a_hostile_environment(self):
        """Whatever the variables hold: the program starts, or one line says which of them is wrong. Never a signal."""
        long, strange = "x" * 100_000, "a\n\x1b[2J%s%n$(id)`id`;:\xff\u202e\u2028"
        values = ["", " ", "/", "..", "/" * 5000, "/" + long, strange, "/" + strange, "/dev/null", "/proc/self/fd/0", "\t",
                  "-1", "99999999999999999999", "@/etc/passwd", "\"", "'", "\\", "-cp", "-cp ''", ":" * 3000]
        names = ["TMPDUMP_DEST", "TMPDUMP_WAIT", "TMPDUMP_WAIT_TIMEOUT", "TMPDUMP_PRELOAD_CHILDREN", "LD_LIBRARY_PATH",
                 "LD_PRELOAD", "JDK_JAVA_OPTIONS", "JAVA_TOOL_OPTIONS", "CLASSPATH", "PATH", "HOME"]
        started = 0
        for name in names:
            for value in values:
                with self.subTest(name=name, value=value[:40]):
                    run = self.run_wrapped("/bin/true", **{name: value})
                    self.assertIn(run.returncode, (0, USAGE, 1))
                    if run.returncode != 0:
                        self.assert_error(run, run.returncode)
                    started += run.returncode == 0
        self.assertGreater(started, len(names))

    def test_help_and_version(self):
        self.assertIn("TMPDUMP_WAIT ", self.wrapped("--help"))
        self.assertRegex(self.wrapped("--version"), r"^exec-wrapper \d+\.\d+\.\d+\n$")

    def test_without_a_daemon_nothing_is_made(self):
        self.destination.mkdir()
        self.wrapped("true")
        self.assertEqual(list(self.destination.iterdir()), [])

    def test_a_library_that_comes_later_is_found_by_its_name(self):
        """glibc never looks again into a folder of LD_LIBRARY_PATH that was absent at a first look."""
        daemon = self.daemon(f"list lib/libleaf.so<{LIBRARIES}/libleaf.so")
        code = "import ctypes, sys; print(flush=True); sys.stdin.readline(); print(ctypes.CDLL('libleaf.so').leaf())"
        process = subprocess.Popen([WRAPPER, sys.executable, "-c", code], stdin=subprocess.PIPE, text=True,
                                   stdout=subprocess.PIPE, env={**self.environment, "TMPDUMP_WAIT": "none"})
        process.stdout.readline()
        daemon.order("publish lib/libleaf.so")
        self.assertEqual(process.communicate("\n", timeout=LIMIT_S)[0], "42\n")


class EagerTest(Story):
    def setUp(self):
        super().setUp()
        self.environment["TMPDUMP_WAIT"] = "eager"

    def test_the_program_starts_when_everything_is_there(self):
        daemon = self.daemon("list a b", "publish a")
        done = []
        runner = threading.Thread(target=lambda: done.append(self.wrapped("ls", str(self.destination))))
        runner.start()
        waited = self.destination / ".tmpdump" / "manifest"
        while waited.read_bytes()[56:64] == bytes(8):  # the header's first wait; proto/manifest.md
            pass
        self.assertEqual(done, [])
        daemon.order("publish b")
        daemon.order("ready")
        runner.join()
        self.assertEqual(done, ["a\nb\nlib\n"])

    def assert_starts_and_says(self, *words, **variables):
        done = self.run_wrapped("echo", "started", **variables)
        self.assert_no_secret(done)
        self.assertEqual((done.returncode, done.stdout), (0, "started\n"))
        self.assertRegex(done.stderr, r"\Aexec-wrapper: error: the tmpdump is not complete: [^\n]*\n\Z")
        for word in words:
            self.assertIn(word, done.stderr)

    def test_otherwise_it_says_why_and_starts(self):
        self.assert_starts_and_says("no tmpdump was started")
        daemon = self.daemon("list a")
        self.assert_starts_and_says("time limit", TMPDUMP_WAIT_TIMEOUT="0")
        daemon.order("fail the bucket is gone")
        self.assert_starts_and_says("the bucket is gone")
        daemon.kill()
        self.daemon("list a").end()
        self.assert_starts_and_says("ended before it was ready")


MAIN = """package runtime;
public final class Main {
  public static void main(String[] arguments) throws Exception {
    Class<?> handler = Class.forName(arguments[0]);
    System.out.println(handler.getClassLoader().getClass().getSimpleName());
    for (java.util.function.Supplier service : java.util.ServiceLoader.load(java.util.function.Supplier.class))
      System.out.println(service.get());
    System.out.println(System.getProperty("java.library.path").split(":")[0]);
  }
}
"""
HANDLER = """package example;
public final class Handler implements java.util.function.Supplier<String> {
  public String get() { return "served"; }
}
"""


class JavaTest(Story):
    def setUp(self):
        super().setUp()
        if not shutil.which("javac"):
            self.skipTest("no JDK")
        self.task = self.scratch / "task"
        self.environment["LAMBDA_TASK_ROOT"] = str(self.task)
        self.runtime = self.jar("runtime/Main.java", MAIN, self.scratch / "runtime.jar")

    def jar(self, name, source, target, **services):
        work = Path(tempfile.mkdtemp(dir=self.scratch))
        (work / name).parent.mkdir()
        (work / name).write_text(source)
        subprocess.run(["javac", "-d", work / "classes", work / name], check=True)
        if services:
            (work / "classes/META-INF/services").mkdir(parents=True)
        for service, provider in services.items():
            (work / "classes/META-INF/services" / service.replace("_", ".")).write_text(provider)
        target.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["jar", "cf", target, "-C", work / "classes", "."], check=True)
        return str(target)

    def put_function(self):
        self.jar("example/Handler.java", HANDLER, self.task / "lib/function.jar",
                 java_util_function_Supplier="example.Handler")

    def test_the_application_is_in_the_system_class_loader(self):
        self.put_function()
        expected = f"AppClassLoader\nserved\n{self.destination}/lib\n"
        command = ["runtime.Main", "example.Handler"]
        self.assertEqual(self.wrapped("java", "-cp", self.runtime, *command), expected)
        self.assertEqual(self.wrapped("java", *command, CLASSPATH=self.runtime), expected)
        picked_up = self.run_wrapped("java", *command, JDK_JAVA_OPTIONS=f"-cp {self.runtime}")
        self.assertEqual(picked_up.stdout, expected)
        self.assertEqual(self.wrapped("java", "-Djava.library.path=/x", "--class-path=" + self.runtime, *command), expected)
        self.assertNotEqual(subprocess.run(["java", "-cp", self.runtime, *command], check=False,
                                           capture_output=True).returncode, 0)  # what it would be without the wrapper

    def test_classes_in_the_task_folder_itself(self):
        (self.task / "example").mkdir(parents=True)
        (self.task / "Handler.java").write_text(HANDLER)
        subprocess.run(["javac", "-d", self.task, self.task / "Handler.java"], check=True)
        said = self.wrapped("java", "-cp", self.runtime, "runtime.Main", "example.Handler")
        self.assertEqual(said.splitlines()[0], "AppClassLoader")

    def test_an_archive_of_shared_classes_stays_valid(self):
        """Made for the shorter class path, as AWS's is; -Xshare:on stops a JVM that cannot use it."""
        self.put_function()
        shared = self.scratch / "runtime.jsa"
        subprocess.run(["java", f"-XX:ArchiveClassesAtExit={shared}", "-cp", self.runtime, "runtime.Main",
                        "java.util.ArrayList"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        self.assertTrue(shared.exists())
        command = ["-Xshare:on", f"-XX:SharedArchiveFile={shared}", "-Xlog:class+load", "-cp"]
        said = self.wrapped("java", *command, self.runtime, "runtime.Main", "example.Handler")
        self.assertRegex(said, r"runtime\.Main source: shared objects file \(top\)")
        self.assertIn("\nAppClassLoader\nserved\n", "\n" + "\n".join(
            line for line in said.splitlines() if not line.startswith("[")) + "\n")
        # In front it would not do: the JVM's own word for it.
        other = subprocess.run(["java", *command, f"{self.task}/lib/function.jar:{self.runtime}", "runtime.Main",
                                "example.Handler"], capture_output=True, text=True, check=False)
        self.assertFalse(other.returncode == 0 and "runtime.Main source: shared objects file (top)" in other.stdout,
                         other.stdout[-2000:])


if __name__ == "__main__":
    WRAPPER, DAEMON, LIBRARIES = sys.argv[1:4]
    unittest.main(argv=sys.argv[:1])
