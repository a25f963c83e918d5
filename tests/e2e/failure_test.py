# SPDX-License-Identifier: Apache-2.0
"""Everything that can go wrong, with what the user was promised: a function that starts and can say why, or an INIT that
fails with the reason; never one that hangs.
"""
import json
import os
import signal
import subprocess
import sys
import threading

from emulator import case, programs
from emulator.case import (DAEMON_DIED, EXTENSION_NEXT, FAILED, FATAL, FIRST, INIT_DONE, INIT_FAILED, INVOKE_OVER, LAST,
                           REGISTERED)

# WAITER LIBTMPDUMP PATH: exits with the code of a wait without limit.
WAITER = """import ctypes, sys
library = ctypes.CDLL(sys.argv[1])
print("waiting", flush=True)
sys.exit(library.tmpdump_wait_file(sys.argv[2].encode(), -1))
"""
NOBODY_LISTENS = "http://127.0.0.1:1"
INIT_S = 10  # Lambda ends an INIT after so long, without a reason: ours has to come before


class FailureTest(case.LambdaTest):
    def assert_starts_and_says(self, sandbox, *words):
        """The function runs; whoever waits learns the reason at once; the log has it too."""
        (waited,) = self.ask(sandbox, FIRST, deadline_s=INIT_S)
        self.assertEqual(waited["code"], FAILED, waited)
        for word in words:
            self.assertIn(word, waited["reason"])
        self.assert_ends_cleanly(sandbox)  # now the log is complete: an answer may overtake its lines
        self.assertTrue(sandbox.log.has(INIT_DONE), sandbox.log.text())
        self.assertFalse(sandbox.log.has(FATAL), sandbox.log.text())
        (warning,) = sandbox.log.objects("tmpdump.missing")
        self.assertEqual((warning["level"], warning["message"]), ("warn", waited["reason"]))

    def assert_fails_in_time(self, sandbox):
        """Returns once the log has all that there is to say about it."""
        last = len(sandbox.log.lines) - 1
        answer = sandbox.invoke()
        sandbox.log.wait_for(INVOKE_OVER, case.DEADLINE_S, after=last)
        self.assertEqual(answer.status, 502, sandbox.log.text())
        self.assertLess(answer.answered - answer.asked, INIT_S, sandbox.log.text())

    def assert_init_fails(self, sandbox, error_type, *words):
        """Both inits fail with our reason: after the first one the emulator starts a fresh extension."""
        for number in (1, 2):
            self.assert_fails_in_time(sandbox)
            errors = sandbox.log.all("POST /2020-01-01/extension/init/error")
            self.assertEqual(len(errors), number, sandbox.log.text())
            self.assertIn(f"Lambda-Extension-Function-Error-Type:[{error_type}]", errors[-1].text)
        self.assertEqual(len(sandbox.log.all(REGISTERED)), 2, sandbox.log.text())
        self.assertGreaterEqual(len(sandbox.log.all(FATAL)), 2, sandbox.log.text())
        self.assertTrue(sandbox.log.has(INIT_FAILED))
        self.assertFalse(sandbox.log.has(EXTENSION_NEXT))
        failures = sandbox.log.objects("tmpdump.failed")
        self.assertEqual(len(failures), 2, sandbox.log.text())
        for failure in failures:
            self.assertEqual((failure["level"], failure["errorType"]), ("error", error_type))
            for word in words:
                self.assertIn(word, failure["message"])

    def test_no_archive_continue(self):
        sandbox = self.start_function(programs.python(), self.start_origin())
        self.assert_starts_and_says(sandbox, "function.zip")

    def test_no_bucket_continue(self):
        sandbox = self.start_function(programs.python(), self.start_origin(), TMPDUMP_URI="s3://elsewhere/function.zip")
        self.assert_starts_and_says(sandbox, "elsewhere")

    def test_no_archive_fail(self):
        sandbox = self.start_function(programs.python(), self.start_origin(), TMPDUMP_ON_MISSING="fail",
                                      TEST_WAIT_AT_INIT=FIRST)
        self.assert_init_fails(sandbox, "Tmpdump.NotFound", "function.zip")

    def test_denied_continue(self):
        self.put_archive()
        sandbox = self.start_function(programs.python(), self.start_origin(), AWS_SECRET_ACCESS_KEY="not the one")
        self.assert_starts_and_says(sandbox, "function.zip")

    def test_denied_fail(self):
        self.put_archive()
        sandbox = self.start_function(programs.python(), self.start_origin(), AWS_SECRET_ACCESS_KEY="not the one",
                                      TMPDUMP_ON_MISSING="fail")
        self.assert_init_fails(sandbox, "Tmpdump.AccessDenied", "function.zip")

    def test_no_credentials(self):
        self.put_archive()
        sandbox = self.start_function(programs.python(), self.start_origin(), AWS_ACCESS_KEY_ID=None,
                                      AWS_SECRET_ACCESS_KEY=None)
        self.assert_starts_and_says(sandbox, "credentials")

    def test_bad_setting(self):
        sandbox = self.start_function(programs.python(), self.start_origin(), TMPDUMP_CONNECTIONS="many")
        self.assert_init_fails(sandbox, "Tmpdump.Usage", "TMPDUMP_CONNECTIONS", "many")

    def test_corrupt_archive(self):
        path = self.put_archive()
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 0xFF  # in the middle of LAST
        path.write_bytes(content)
        sandbox = self.start_function(programs.python(), self.start_origin(), TEST_WAIT_AT_INIT=LAST)
        self.assert_init_fails(sandbox, "Tmpdump.BadArchive", LAST)
        self.assertFalse((sandbox.tmp / LAST).exists())
        self.assertEqual((sandbox.tmp / FIRST).read_bytes(), b"the first file")

    def test_nobody_listens(self):
        sandbox = self.start_function(programs.python(), NOBODY_LISTENS, TEST_WAIT_AT_INIT=FIRST)
        self.assert_fails_in_time(sandbox)
        error = sandbox.log.first("POST /2020-01-01/extension/init/error")
        self.assertIsNotNone(error, sandbox.log.text())
        self.assertIn("[Tmpdump.Network]", error.text)
        self.assertTrue(sandbox.log.has(FATAL), sandbox.log.text())
        self.assertIn("127.0.0.1", sandbox.log.objects("tmpdump.failed")[0]["message"])
        # The runtime that waited learned it before it was ended, or was ended at once: it did not hang.

    def test_killed_while_somebody_waits(self):
        self.put_archive()
        sandbox = self.start_function(programs.python(), self.start_origin(total_mbps=16), TMPDUMP_HOLD_INIT="0")
        answers = []
        invoke = threading.Thread(target=lambda: answers.append(
            sandbox.invoke(json.dumps({"wait": [LAST], "timeout_ms": -1}).encode())))
        invoke.start()
        sandbox.log.wait_for(f'"waiting": "{LAST}"', case.DEADLINE_S)
        # The emulator ends the function's process at once. A second process at the same destination sees the death.
        waiter = subprocess.Popen([sys.executable, "-IS", "-c", WAITER, case.programs.library, LAST],
                                  env={"TMPDUMP_DEST": str(sandbox.tmp)}, stdout=subprocess.PIPE, text=True)
        self.addCleanup(waiter.wait)
        self.addCleanup(waiter.kill)
        self.addCleanup(waiter.stdout.close)
        self.assertEqual(waiter.stdout.readline(), "waiting\n")
        os.kill(sandbox.extension_pid(), signal.SIGKILL)
        self.assertEqual(waiter.wait(case.DEADLINE_S), DAEMON_DIED)
        invoke.join(case.DEADLINE_S)
        self.assertEqual([answer.status for answer in answers], [502], sandbox.log.text())
        self.assertTrue(sandbox.log.has("First fatal error stored in appctx: Extension.Crash"), sandbox.log.text())
        # The next invoke starts the extension anew, which does the rest. Of the emulator's two threads one may clear what was
        # cancelled by the function's end before the other cancels it: then that invoke is over at once, without us.
        over = sandbox.log.wait_for(INVOKE_OVER, case.DEADLINE_S)
        request = json.dumps({"wait": [LAST], "timeout_ms": 30_000}).encode()
        answer = sandbox.invoke(request)
        if answer.status == 502:
            sandbox.log.wait_for(INVOKE_OVER, case.DEADLINE_S, after=over.index)
            self.assertTrue(sandbox.log.has("Invoke failed error=ErrGateCanceled"), sandbox.log.text())
            answer = sandbox.invoke(request)
        self.assertEqual(answer.status, 200, sandbox.log.text())
        (waited,) = json.loads(answer.body)["waits"]
        self.assert_whole(waited)


if __name__ == "__main__":
    case.main()
