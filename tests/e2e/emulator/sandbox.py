# SPDX-License-Identifier: Apache-2.0
"""One Lambda environment: the emulator, the extension in /opt/extensions, a function in /var/task, an empty /tmp.

Call namespaces.enter() first. Everything that runs here is inside one PID namespace, whose end ends it all.
"""
import http.client
import os
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from emulator.log import Log

EXTENSION = "tmpdump-prefetch"
API, FRONT = "127.0.0.1:9001", ("127.0.0.1", 8080)
START_S, STOP_S, INVOKE_S = 20, 20, 45
# What Lambda sets for every function and a function's libraries rely on.
ENVIRONMENT = {
    "PATH": "/var/lang/bin:/usr/local/bin:/usr/bin:/bin:/opt/bin", "LANG": "en_US.UTF-8", "TZ": "UTC",
    "LD_LIBRARY_PATH": "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib",
    "LAMBDA_TASK_ROOT": "/var/task", "LAMBDA_RUNTIME_DIR": "/var/runtime",
}
# /mnt keeps the scratch folder in reach when /tmp and /var are covered. All that is mounted goes with the namespace.
SET_UP = r"""
set -e
mount --bind "$1" "$2/lang"
mount --rbind "$2" /mnt
mount --bind /mnt/opt /opt
mount -t tmpfs none /var
mkdir /var/task /var/runtime /var/lang
for place in task runtime lang; do mount --rbind "/mnt/$place" "/var/$place"; done
mount --bind /mnt/tmp /tmp
cd /var/task
shift 2
exec env -i "$@"
"""


@dataclass
class Answer:
    status: int
    body: bytes
    asked: float  # CLOCK_MONOTONIC, seconds
    answered: float


class Sandbox:
    """function: what function.python() or function.java() returned. variables: the function's and the extension's.
    layer: a zip that is unpacked to /opt, instead of the build's own programs.
    """

    def __init__(self, programs, function, variables, extension=True, snap_start=False, layer=None):
        self.root = Path(tempfile.mkdtemp(prefix="tmpdump-e2e-"))
        self.process = None
        try:
            self._fill(programs, function, extension, layer)
            self._start(function, {**ENVIRONMENT, **function.variables, **variables}, snap_start)
        except BaseException:
            self.close()
            raise

    def _fill(self, programs, function, extension, layer):
        for name in ("opt", "task", "runtime", "lang", "tmp"):
            (self.root / name).mkdir(parents=True)
        place(programs.rie, self.root / "rie")
        if layer:
            subprocess.run(["unzip", "-q", layer, "-d", self.root / "opt"], check=True)
        else:
            self._fill_opt(programs, extension)
        for target, source in function.files.items():
            (self.root / target).parent.mkdir(parents=True, exist_ok=True)
            place(source, self.root / target)

    def _fill_opt(self, programs, extension):
        """As tools/layer lays it out."""
        for name in ("extensions", "lib", "tmpdump", "humangraphics"):
            (self.root / "opt" / name).mkdir()
        if extension:
            place(programs.extension, self.root / "opt" / "extensions" / EXTENSION)
        place(programs.library, self.root / "opt" / "lib" / "libtmpdump.so")
        place(programs.preload, self.root / "opt" / "lib" / "libtmpdump-preload.so")
        place(programs.wrapper, self.root / "opt" / "tmpdump" / "exec-wrapper")
        (self.root / "opt" / "humangraphics" / "lambda-exec-wrapper.sh").symlink_to("../tmpdump/exec-wrapper")

    def _start(self, function, variables, snap_start):
        emulator = ["/mnt/rie", "--log-level", "debug", "--runtime-api-address", API,
                    "--runtime-interface-emulator-address", "{}:{}".format(*FRONT),
                    *(["--enable-init-caching"] if snap_start else []), *function.command]
        settings = [f"{name}={value}" for name, value in variables.items()]
        self.process = subprocess.Popen(
            ["unshare", "-m", "-p", "-f", "--mount-proc", "--kill-child", "bash", "-c", SET_UP, "sandbox",
             function.language_home, self.root, *settings, *emulator],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.log = Log(self.process.stdout)
        self.log.wait_for("Runtime API Server listening", START_S)

    @property
    def tmp(self):
        """The function's /tmp, as it is seen from here."""
        return self.root / "tmp"

    def invoke(self, payload=b"{}", deadline_s=INVOKE_S):
        give_up = time.monotonic() + START_S
        while True:
            connection = http.client.HTTPConnection(*FRONT, timeout=deadline_s)
            try:
                connection.connect()
                break
            except ConnectionRefusedError:  # it says nothing when it listens here too, which is a moment later
                if time.monotonic() > give_up:
                    raise
                time.sleep(0.005)
        try:
            asked = time.monotonic()
            connection.request("POST", "/2015-03-31/functions/function/invocations", payload)
            response = connection.getresponse()
            body = response.read()
            return Answer(response.status, body, asked, time.monotonic())
        except TimeoutError:
            raise AssertionError(f"no answer within {deadline_s} s; the log:\n{self.log.text()}") from None
        finally:
            connection.close()

    def emulator_pid(self):
        pid = self.process.pid
        return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])

    def extension_pid(self):
        """The extension's process; its registration must have been seen in the log."""
        space = os.readlink(f"/proc/{self.emulator_pid()}/ns/pid")
        for entry in Path("/proc").iterdir():
            try:
                if (entry.name.isdigit() and os.readlink(entry / "ns" / "pid") == space
                        and (entry / "cmdline").read_bytes().startswith(f"/opt/extensions/{EXTENSION}\0".encode())):
                    return int(entry.name)
            except OSError:
                continue  # it ended in between
        raise AssertionError(f"the extension does not run; the log:\n{self.log.text()}")

    def shut_down(self):
        """As Lambda ends an environment; returns once the emulator and all of its processes have ended."""
        os.kill(self.emulator_pid(), signal.SIGTERM)
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"no end within {STOP_S} s of SIGTERM; the log:\n{self.log.text()}") from None
        self.log.reader.join(STOP_S)

    def close(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.log.reader.join()
        shutil.rmtree(self.root, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def place(source, target):
    """A link costs nothing; between file systems it is a copy."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
