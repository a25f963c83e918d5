# SPDX-License-Identifier: Apache-2.0
"""What the stories share: one origin and one sandbox each, the archives, and what an emulator's log is asked for.

    NAME_test.py [BUILD_FOLDER [unittest's arguments]]
"""
import hashlib
import json
import math
import random
import shutil
import sys
import tempfile
import unittest
import zipfile
from pathlib import Path

from emulator import namespaces
from emulator.origin import ACCESS_KEY, BUCKET, REGION, SECRET_KEY, Origin
from emulator.programs import ROOT, Programs
from emulator.sandbox import Sandbox

# What the emulator (--log-level debug) says; its own words, seen in version 1.170.0.
REGISTERS = r"API request - POST /2020-01-01/extension/register"  # logged before what follows from it
REGISTERED = r"External agent tmpdump-prefetch .* registered"
RUNTIME_STARTS = r"\(rapid\) Start(ing)? runtime"
RUNTIME_NEXT = r"GET /2018-06-01/runtime/invocation/next"
EXTENSION_NEXT = r"GET /2020-01-01/extension/event/next"
INIT_DONE = r"INIT RTDONE\(status: success\)"
INIT_FAILED = r"INIT RTDONE\(status: error\)"
FATAL = r"First fatal error stored in appctx: Extension\.InitError"
CRASH = r"Extension\.Crash"
INVOKE_OVER = r"execute finished"

OK, NOT_IN_ARCHIVE, TIMEOUT, NO_DAEMON, DAEMON_DIED, FAILED = range(6)  # tmpdump.h
FIRST, LAST = "lib/first.txt", "lib/last.bin"

DEADLINE_S = 20

programs = None


class LambdaTest(unittest.TestCase):
    def setUp(self):
        self.bucket = Path(tempfile.mkdtemp(prefix="tmpdump-e2e-s3-")) / BUCKET
        self.bucket.mkdir()
        self.addCleanup(shutil.rmtree, self.bucket.parent)

    def put_archive(self, key="function.zip", size=4_000_000):
        """FIRST, a link to it, and LAST of `size` bytes that do not compress."""
        with zipfile.ZipFile(self.bucket / key, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(FIRST, b"the first file")
            link = zipfile.ZipInfo("lib/link.txt")
            link.create_system, link.external_attr = 3, 0o120777 << 16
            archive.writestr(link, "first.txt")
            self.last = random.Random(7).randbytes(size)
            archive.writestr(LAST, self.last)
        return self.bucket / key

    def start_origin(self, **shape):
        origin = Origin(programs.origin, self.bucket.parent, **shape)
        self.addCleanup(origin.close)
        return origin.endpoint

    def start_function(self, function, endpoint, snap_start=False, layer=None, **variables):
        """A variable that is None is left out."""
        settings = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY, "AWS_REGION": REGION,
                    "AWS_ENDPOINT_URL_S3": endpoint, "TMPDUMP_URI": f"s3://{BUCKET}/function.zip",
                    "TMPDUMP_LOG": "debug", **variables}
        sandbox = Sandbox(programs, function, {name: value for name, value in settings.items() if value is not None},
                          snap_start=snap_start, layer=layer)
        self.addCleanup(sandbox.close)
        return sandbox

    def ask(self, sandbox, *paths, timeout_ms=30_000, deadline_s=math.inf):
        """Invokes the Python function, which waits for these paths; returns all of its waits. It is answered in less
        than `deadline_s`."""
        answer = sandbox.invoke(json.dumps({"wait": paths, "timeout_ms": timeout_ms}).encode())
        self.assertEqual(answer.status, 200, sandbox.log.text())
        self.assertLess(answer.answered - answer.asked, deadline_s, sandbox.log.text())
        return json.loads(answer.body)["waits"]

    def assert_in_order(self, log, *patterns):
        """Each pattern's first line comes after the one before."""
        index = -1
        for pattern in patterns:
            found = log.first(pattern)
            self.assertIsNotNone(found, f"no line with {pattern!r}:\n{log.text()}")
            self.assertGreater(found.index, index, f"{pattern!r} came too early:\n{log.text()}")
            index = found.index

    def assert_whole(self, waited):
        """What was waited for is there, and LAST has its right content."""
        self.assertEqual(waited["code"], OK, waited)
        if waited["path"] == LAST:
            self.assertEqual(waited["sha256"], hashlib.sha256(self.last).hexdigest())

    def assert_ends_cleanly(self, sandbox):
        """SHUTDOWN ends the extension: by itself, in time, and not as a crash."""
        sandbox.shut_down()
        log = sandbox.log
        self.assertTrue(log.has("Agent tmpdump-prefetch .* is registered for the shutdown event"), log.text())
        self.assertFalse(log.has(CRASH), log.text())
        self.assertFalse(log.has(r"Process extension-tmpdump-prefetch-\d+ exited"), log.text())  # with an error
        # The event before names how it ended; a signal would be SIGKILL, after the deadline of 2 s.
        handled = log.first("Handling termination for extension-tmpdump-prefetch-")
        self.assertIsNotNone(handled, log.text())
        ends = [line for line in log.all("events handler received the event") if line.index < handled.index]
        self.assertRegex(ends[-1].text, r"Signo:<nil> ExitStatus:0x", log.text())


def main():
    """Runs the stories of the calling module inside of namespaces."""
    global programs
    build = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build"
    programs = Programs(build.resolve())
    prepare = getattr(sys.modules["__main__"], "prepare", None)
    if prepare:
        prepare(programs)
    namespaces.enter()
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]], verbosity=2)
