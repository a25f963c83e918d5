# SPDX-License-Identifier: Apache-2.0
"""One program, one Extensions API, one origin a story.

    NAME_test.py BUILD_FOLDER [unittest's arguments]

TMPDUMP_SEED and TMPDUMP_ROUNDS choose other random moments, and more of them.
"""
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS / "e2e"))

from emulator import manifest  # noqa: E402,F401 (for the tests)
from emulator.log import Log  # noqa: E402
from emulator.origin import ACCESS_KEY, BUCKET, REGION, SECRET_KEY, Origin  # noqa: E402
from extension_harness import planted  # noqa: E402
from extension_harness.api import ExtensionsApi  # noqa: E402

DEADLINE_S = 60  # so that a defect does not hang the tests; what works takes milliseconds
TOKEN = "FwoGZXIvYXdzEXAMPLETOKENthatNobodyMaySee//////////wEaDGE"
OK, NOT_IN_ARCHIVE, TIMEOUT, NO_DAEMON, DAEMON_DIED, FAILED = range(6)  # tmpdump.h
ANOTHER = 54321  # a user
SECRETS = {"the secret access key": SECRET_KEY.encode(), "the session token": TOKEN.encode(), **planted.WORDS}  # of every test
SEED = int(os.environ.get("TMPDUMP_SEED") or 1)

CHROOT = shutil.which("chroot") or "/usr/sbin/chroot"

build = None  # set by main()
# A program that was built with sanitizers, and how it is to behave: tests/extension.cmake
SANITIZED = os.environ.get("TMPDUMP_SANITIZED")
OF_THREADS = bool(SANITIZED) and b"libtsan.so" in Path(SANITIZED).read_bytes()
REPORT = "Sanitizer|runtime error:"  # in a line of whatever such a program says
SANITIZERS = {} if not SANITIZED else {
    **dict.fromkeys(("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"), "exitcode=99"),  # none that ours has
    **{name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS")},
    # What tests/faults/injector.c leaves alone: the sanitizers' own calls, of which they die, and those of the loader, which
    # the released program does not have.
    "INJECTOR_SPARES": "libasan,libubsan,liblsan,libtsan,ld-linux"}
# Of such a program that starts with LD_PRELOAD: that it does not mind.
PRELOADED = {"ASAN_OPTIONS": SANITIZERS["ASAN_OPTIONS"] + ":verify_asan_link_order=0"} if SANITIZED else {}


def other_users():
    """May this process act as others, and make files of theirs? Not in a user namespace of its own, where root alone exists."""
    with open("/proc/self/uid_map", encoding="ascii") as file:
        return os.geteuid() == 0 and any(int(line.split()[2]) > ANOTHER for line in file)


def tested(name):
    """A program that is under test."""
    return Path(SANITIZED).parent / name if SANITIZED else build / "bin" / name


def rounds(usual):
    return int(os.environ.get("TMPDUMP_ROUNDS") or usual)


class Prefetch:
    """The running program. `name` is what it was started as; `root` is its root folder, from which it is started; `user`: as whom.
    Whoever learns of its end by status() or kill() learns whether it left a secret behind.
    """

    def __init__(self, environment, name="tmpdump-prefetch", program=None, root=None, arguments=(), user=None, stdin=subprocess.DEVNULL):
        self.environment, self.root, self.looked = environment, Path(root or "/"), False
        command, self.program = [f"/opt/extensions/{name}", *arguments], program or tested("tmpdump-prefetch")
        if root:
            command, self.program = [CHROOT, str(root), *command], CHROOT
        become = {} if user is None else {"user": user, "group": user, "extra_groups": []}
        self.process = subprocess.Popen(command, executable=self.program, env=environment, **become,
                                        stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.log = Log(self.process.stdout)

    def status(self, deadline_s=DEADLINE_S):
        """Waits for its end; its log is complete then. `ended` is the moment, in seconds of time.monotonic()."""
        if self.process.returncode is None:
            handle = os.pidfd_open(self.process.pid)  # Popen.wait() with a limit looks every 50 ms
            try:
                if not select.select([handle], [], [], deadline_s)[0]:
                    raise AssertionError(f"still runs after {deadline_s} s:\n{self.log.text()}")
            finally:
                os.close(handle)
            self.ended = time.monotonic()
        status = self.process.wait()
        self.log.reader.join(deadline_s)
        if not self.looked:
            self.looked = True
            self.look_for_secrets(status)
        return status

    def look_for_secrets(self, status):
        """In all that stays of it: the log, the trace, what is in .tmpdump. A trace there has to be, unless it was killed before."""
        own, trace = (self.root / path.lstrip("/") if path else None for path in
                      (os.path.join(self.environment.get("TMPDUMP_DEST", "/tmp"), ".tmpdump"), self.environment.get("TMPDUMP_TRACE")))
        if trace and status == 0 and self.log.has('"tmpdump.ready"') and not self.log.has('"tmpdump.trace"') and not trace.exists():
            raise AssertionError(f"it got ready, and there is no {trace}")
        secrets = SECRETS | planted.of(self.environment)
        for where, data in (("its log", self.log.text().encode()), *planted.files(own, *filter(None, [trace]))):
            if found := planted.seen(secrets, data):
                raise AssertionError(f"in {where}: {found}")  # whose values are not to be printed

    def terminate(self, how=signal.SIGTERM):
        self.process.send_signal(how)

    def kill(self):
        """Whatever state it is in."""
        if self.process.poll() is None:
            self.process.kill()
        return self.status()

    def event(self, name):
        (value,) = self.log.objects(name)
        return value

    def system_call(self):
        """(number, arguments) of the one in which it sleeps; None while it does not."""
        words = Path(f"/proc/{self.process.pid}/syscall").read_text().split()
        return None if words[0] == "running" else (int(words[0]), [int(word, 16) for word in words[1:7]])

    def proc(self, field):
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        (line,) = [line for line in text.splitlines() if line.startswith(field + ":")]
        return int(line.split()[1])


WAITER = """
import ctypes, sys
library = ctypes.CDLL(sys.argv[1])
path, text = sys.argv[2], ctypes.create_string_buffer(1500)
print("waiting", flush=True)
code = library.tmpdump_wait_file(path.encode(), -1) if path else library.tmpdump_wait(-1)
if code == 5:
    library.tmpdump_reason(text, 1500)
print("waited", code, text.value.decode(), flush=True)
"""


class Waiter:
    """A process that waits for one file, or with "" for all, with libtmpdump and without a limit."""

    def __init__(self, destination, path=""):
        environment = dict(os.environ, TMPDUMP_DEST=str(destination))
        self.process = subprocess.Popen([sys.executable, "-c", WAITER, build / "lib" / "libtmpdump.so", path],
                                        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.log = Log(self.process.stdout)
        self.log.wait_for("^waiting$", DEADLINE_S)

    def asleep(self):
        """Returns once it sleeps on a futex: then it has looked at the manifest."""
        until(lambda: Path(f"/proc/{self.process.pid}/syscall").read_text().split()[0] == str(FUTEX), "in its wait")

    def result(self):
        said = self.log.wait_for("^waited ", DEADLINE_S).text.split(" ", 2)
        return int(said[1]), said[2]

    def close(self):
        self.process.kill()
        self.process.wait()
        self.log.reader.join()


FUTEX, PPOLL, READ = {"x86_64": (202, 271, 0), "aarch64": (98, 73, 63)}[os.uname().machine]


def until(condition, what, deadline_s=DEADLINE_S):
    """For what the kernel shows but does not announce: looks every millisecond."""
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not {what} within {deadline_s} s")
        time.sleep(0.001)


class ExtensionTest(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="tmpdump-test-"))
        self.addCleanup(remove, self.folder)
        self.bucket, self.destination = self.folder / "s3" / BUCKET, self.folder / "tmp"
        self.bucket.mkdir(parents=True)
        self.destination.mkdir()
        self.archive = self.bucket / "function.zip"
        self.planted = dict(SECRETS)

    def start_origin(self, folder=None, **shape):
        origin = Origin(build / "bin" / "tmpdump-origin", folder or self.bucket.parent, **shape)
        self.addCleanup(origin.close)
        return origin

    def start_api(self, *arguments, **options):
        api = ExtensionsApi(*arguments, **options)
        self.addCleanup(self.assert_told_no_secret, api)
        self.addCleanup(api.close)
        return api

    def assert_told_no_secret(self, api):
        for request in api.told:
            self.assertEqual(planted.seen(self.planted, repr(request).encode()), [], f"in what {request.path} was told")

    def settings(self, api, endpoint, **variables):
        """The program's whole environment; a variable that is None is left out."""
        all_of_them = {"AWS_LAMBDA_RUNTIME_API": getattr(api, "address", api), "AWS_ACCESS_KEY_ID": ACCESS_KEY,
                       "AWS_SECRET_ACCESS_KEY": SECRET_KEY, "AWS_REGION": REGION, "AWS_ENDPOINT_URL_S3": endpoint,
                       "TMPDUMP_URI": f"s3://{BUCKET}/function.zip", "TMPDUMP_DEST": str(self.destination),
                       "TMPDUMP_LOG": "debug", **SANITIZERS, **variables}
        given = {name: value for name, value in all_of_them.items() if value is not None}
        self.planted |= planted.of(given)
        return given

    def start(self, api, endpoint, name="tmpdump-prefetch", root=None, program=None, user=None, **variables):
        prefetch = Prefetch(self.settings(api, endpoint, **variables), name, program=program, root=root, user=user)
        self.addCleanup(lambda: self.assertNotRegex(prefetch.log.text(), REPORT))
        self.addCleanup(prefetch.kill)
        return prefetch

    def wait_beside(self, path="", destination=None):
        waiter = Waiter(destination or self.destination, path)
        self.addCleanup(waiter.close)
        return waiter


def remove(folder):
    for parent, _, _ in os.walk(folder):
        os.chmod(parent, 0o700)
    shutil.rmtree(folder)


def main():
    global build
    build = Path(sys.argv[1]).resolve()
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]], verbosity=2)
