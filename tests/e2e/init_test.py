# SPDX-License-Identifier: Apache-2.0
"""INIT: what runs at once, what holds it, what waits in the handler instead; and how an environment ends."""
import json

from emulator import case, programs
from emulator.case import (EXTENSION_NEXT, FIRST, INIT_DONE, LAST, NOT_IN_ARCHIVE, REGISTERS, RUNTIME_NEXT,
                           RUNTIME_STARTS)

SLOW = {"total_mbps": 16}  # LAST needs 2 s; the runtime is there after some 50 ms


class InitTest(case.LambdaTest):
    def test_holds_init_until_all_is_there(self):
        self.put_archive()
        sandbox = self.start_function(programs.python(), self.start_origin(**SLOW))
        waits = self.ask(sandbox, LAST, FIRST, "lib/link.txt", "lib/nothing.so", timeout_ms=0)
        for waited in waits[:3]:
            self.assert_whole(waited)  # at once: it was ready before the first invoke
        self.assertEqual(waits[3]["code"], NOT_IN_ARCHIVE)
        # The runtime started, and was ready, while the prefetch ran; INIT waited for the extension's next.
        self.assert_in_order(sandbox.log, REGISTERS, RUNTIME_STARTS, RUNTIME_NEXT, EXTENSION_NEXT, INIT_DONE)
        sandbox.log.wait_for("tmpdump.ready", case.DEADLINE_S)
        (ready,) = sandbox.log.objects("tmpdump.ready")
        self.assertEqual(ready["level"], "info")
        self.assertEqual(ready["uri"], "s3://tmpdumps/function.zip")
        self.assertGreaterEqual(ready["requests"], 1)
        self.assertGreater(ready["ms"]["ready"], ready["ms"]["registered"])
        self.assert_ends_cleanly(sandbox)

    def test_a_wait_at_init_ends_with_its_own_file(self):
        self.put_archive()
        sandbox = self.start_function(programs.python(), self.start_origin(**SLOW), TEST_WAIT_AT_INIT=FIRST)
        (waited,) = self.ask(sandbox)
        self.assert_whole(waited)
        # The runtime went on with the first file long before the last one was there.
        self.assert_in_order(sandbox.log, RUNTIME_NEXT, EXTENSION_NEXT, INIT_DONE)

    def test_without_hold_the_first_invoke_waits_in_the_handler(self):
        self.put_archive()
        sandbox = self.start_function(programs.python(), self.start_origin(**SLOW), TMPDUMP_HOLD_INIT="0")
        (waited,) = self.ask(sandbox, LAST)
        self.assert_whole(waited)
        sandbox.log.wait_for("tmpdump.ready", case.DEADLINE_S)
        self.assert_in_order(sandbox.log, INIT_DONE, "INVOKE START", f'"waiting": "{LAST}"', f'"waited": "{LAST}"')
        self.assert_in_order(sandbox.log, INIT_DONE, "INVOKE START", "tmpdump.ready")
        (again,) = self.ask(sandbox, LAST, timeout_ms=0)[1:]
        self.assert_whole(again)
        self.assert_ends_cleanly(sandbox)

    def test_shutdown_in_the_middle_of_the_prefetch(self):
        self.put_archive()
        sandbox = self.start_function(programs.python(), self.start_origin(total_mbps=1), TMPDUMP_HOLD_INIT="0")
        self.assertEqual(sandbox.invoke(json.dumps({}).encode()).status, 200)
        self.assert_ends_cleanly(sandbox)
        self.assertFalse(sandbox.log.has("tmpdump.ready"), sandbox.log.text())


if __name__ == "__main__":
    case.main()
