# SPDX-License-Identifier: Apache-2.0
"""That the extension's end looks for leaks, in each way that it ends: with one planted it says so, without it does not. It is
not dumpable, keeps to a limit of its own at its end, and its log is all that anybody sees: each could silence LeakSanitizer.
"""
import os

from extension_harness import archives, case
from extension_harness.api import INIT_ERROR, NEXT
from extension_harness.case import DEADLINE_S

FORGETS = os.environ["TMPDUMP_FORGETS"]
LOADED = {"LD_PRELOAD": FORGETS}


class LeaksTest(case.ExtensionTest):
    def setUp(self):
        super().setUp()
        archives.write(self.archive, archives.entries(41))

    def end_of(self, end, **variables):
        """(status, its log) of a start that comes to its `end`: SHUTDOWN, SIGTERM or a failure."""
        api = self.start_api()
        failing = {"TMPDUMP_URI": f"s3://{case.BUCKET}/other.zip", "TMPDUMP_ON_MISSING": "fail"} if end == "failure" else {}
        prefetch = case.Prefetch(self.settings(api, self.start_origin().endpoint, **case.PRELOADED, **failing, **variables))
        self.addCleanup(prefetch.kill)
        if end == "failure":
            api.wait_for(INIT_ERROR)
        else:
            prefetch.log.wait_for("tmpdump.ready", DEADLINE_S)
            api.wait_for(NEXT)
            prefetch.terminate() if end == "SIGTERM" else api.shut_down()
        return prefetch.status(), prefetch.log.text()

    def test_what_is_lost_is_found(self):
        for end, usual in ("SHUTDOWN", 0), ("SIGTERM", 0), ("failure", 1):
            with self.subTest(end):
                status, said = self.end_of(end, **LOADED)
                self.assertEqual(status, 99, said)
                self.assertIn("detected memory leaks", said)
                self.assertIn("forget_some", said)
                status, said = self.end_of(end)
                self.assertEqual(status, usual, said)
                self.assertNotIn("Sanitizer", said)


if __name__ == "__main__":
    case.main()
