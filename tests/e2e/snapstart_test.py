# SPDX-License-Identifier: Apache-2.0
"""The emulator as it runs functions with SnapStart: keys come from its container credentials endpoint."""
from pathlib import Path

from emulator import case, programs
from emulator.sandbox import EXTENSION
from emulator.case import EXTENSION_NEXT, FIRST, INIT_DONE, LAST, REGISTERS, RUNTIME_STARTS

SLOW = {"total_mbps": 16}


WITHOUT_KEYS = """#!/bin/bash
unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN
exec -a "$0" /opt/lib/extension
"""


class SnapStartTest(case.LambdaTest):
    def take_keys_away(self, sandbox):
        """The emulator gives its own environment to extensions, with the keys that its endpoint hands out."""
        extension = sandbox.root / "opt" / "extensions" / EXTENSION
        extension.rename(sandbox.root / "opt" / "lib" / "extension")
        extension.write_text(WITHOUT_KEYS)
        extension.chmod(0o755)

    def test_all_is_published_before_init_ends(self):
        self.put_archive()
        sandbox = self.start_function(programs.python(), self.start_origin(**SLOW), snap_start=True, TMPDUMP_HOLD_INIT="0")
        self.take_keys_away(sandbox)
        for waited in self.ask(sandbox, LAST, FIRST, timeout_ms=0):
            self.assert_whole(waited)
        self.assert_in_order(sandbox.log, REGISTERS, RUNTIME_STARTS, "tmpdump.ready", EXTENSION_NEXT, INIT_DONE)
        environment = Path(f"/proc/{sandbox.extension_pid()}/environ").read_bytes().decode().split("\0")
        names = dict(variable.split("=", 1) for variable in environment if "=" in variable)
        self.assertIn("AWS_CONTAINER_CREDENTIALS_FULL_URI", names)
        self.assertNotIn("AWS_SECRET_ACCESS_KEY", names)
        self.assertNotIn("AWS_ACCESS_KEY_ID", names)
        self.assert_ends_cleanly(sandbox)


if __name__ == "__main__":
    case.main()
