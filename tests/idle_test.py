# SPDX-License-Identifier: Apache-2.0
"""Between ready and SHUTDOWN: what the extension costs a function that runs for hours."""
import os
import random
import select
import time

from extension_harness import archives, case, zstd_zip
from extension_harness.api import NEXT, Answer
from extension_harness.case import DEADLINE_S, PPOLL

MOST_KIB = 8 * 1024  # promised; usually a third of it
# The measurement: longer than every limit that was armed on the way, of which the longest is an attempt's 9 s.
INTERVAL_S = 10
END_S = 1.0  # promised: 0.2 s; the machine that tests may be busy


class IdleTest(case.ExtensionTest):
    def start_secure_origin(self):
        authority = self.folder / "authority.pem"
        return self.start_origin(tls=True, ca_file=authority).endpoint, str(authority)

    def start_to_the_end(self, said, **variables):
        """(prefetch, api) of one that has nothing left to do: `said` is in its log, and it waits for what comes next."""
        endpoint, authority = self.start_secure_origin()
        api = self.start_api()
        prefetch = self.start(api, endpoint, TMPDUMP_LOG=None, AWS_CA_BUNDLE=authority, **variables)
        prefetch.log.wait_for(said, DEADLINE_S)
        self.wait_until_it_rests(prefetch, api)
        return prefetch, api

    def wait_until_it_rests(self, prefetch, api, count=1):
        api.wait_for(NEXT, count=count)
        case.until(lambda: (prefetch.system_call() or [None])[0] == PPOLL, "at rest")

    def assert_small(self, prefetch):
        self.assertEqual(prefetch.proc("Threads"), 1 + case.OF_THREADS)  # which has one of its own
        if case.SANITIZED:
            return  # shadow memory, and what is freed is kept to catch who touches it
        resident = prefetch.proc("VmRSS")
        print(f"{self.id().rsplit('.', 1)[1]}: {resident} KiB resident, at most {prefetch.proc('VmHWM')} before")
        self.assertLessEqual(resident, MOST_KIB)

    def assert_ends(self, prefetch, end):
        begin = time.monotonic()
        end()
        self.assertEqual(prefetch.status(), 0, prefetch.log.text())
        took = prefetch.ended - begin
        print(f"{self.id().rsplit('.', 1)[1]}: ended after {1e3 * took:.1f} ms")
        self.assertLess(took, END_S)

    def test_nothing_wakes_it_before_shutdown(self):
        archives.write(self.archive, archives.entries(11, files=40, size=1_000_000))
        resting = {}
        for story, said, variables in (("held INIT", "tmpdump.ready", {}),
                                       ("did not", "tmpdump.ready", {"TMPDUMP_HOLD_INIT": "0"}),
                                       ("no archive", "tmpdump.missing", {"TMPDUMP_URI": f"s3://{case.BUCKET}/other.zip"})):
            destination = self.folder / story
            destination.mkdir()
            resting[story] = self.start_to_the_end(said, TMPDUMP_DEST=str(destination), **variables)
        before = {story: switches(prefetch) for story, (prefetch, _) in resting.items()}
        lives = [os.pidfd_open(prefetch.process.pid) for prefetch, _ in resting.values()]
        for life in lives:
            self.addCleanup(os.close, life)
        self.assertEqual(select.select(lives, [], [], INTERVAL_S)[0], [])  # all live through the interval
        for story, (prefetch, api) in resting.items():
            with self.subTest(story):
                self.assertEqual(switches(prefetch), before[story])
                # Nor will anything later: it waits for one descriptor, without a limit.
                number, (_, descriptors, limit, *_) = prefetch.system_call()
                self.assertEqual((number, descriptors, limit), (PPOLL, 1, 0))
                self.assert_small(prefetch)
                self.assert_ends(prefetch, api.shut_down)

    def test_small_after_large_windows(self):
        """Each decoder had one of 8 MiB: what a thread's heap keeps does not grow with it."""
        chance = random.Random(12)
        zstd_zip.write(self.archive, {f"lib/{number}.so": bytes(4 << 20) + chance.randbytes(9 << 20) for number in range(6)})
        prefetch, api = self.start_to_the_end("tmpdump.ready")
        self.assert_small(prefetch)
        self.assert_ends(prefetch, api.shut_down)

    def test_rests_again_after_another_event(self):
        archives.write(self.archive, archives.entries(13))
        prefetch, api = self.start_to_the_end("tmpdump.ready")
        api.answer_next(Answer(body=b'{"eventType":"INVOKE","deadlineMs":1}'))
        self.wait_until_it_rests(prefetch, api, count=2)
        self.assert_small(prefetch)
        self.assert_ends(prefetch, prefetch.terminate)

    def test_the_runtime_api_goes_away(self):
        archives.write(self.archive, archives.entries(14))
        prefetch, api = self.start_to_the_end("tmpdump.ready")
        api.answer_next(Answer(raw=b""))
        self.assertEqual(prefetch.status(), 1)
        self.assertIn("next", prefetch.event("tmpdump.failed")["message"])


def switches(prefetch):
    return prefetch.proc("voluntary_ctxt_switches"), prefetch.proc("nonvoluntary_ctxt_switches")


if __name__ == "__main__":
    case.main()
