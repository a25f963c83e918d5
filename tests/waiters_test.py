# SPDX-License-Identifier: Apache-2.0
"""Who waits while S3 breaks by a schedule hears the end of it: success, and then what was waited for is whole, or the very
reason that the log has. The program is the real one, its limits those of Lambda.

TMPDUMP_SEED: the first schedule's; TMPDUMP_ROUNDS: how many.
"""
import collections
import json
from concurrent.futures import ThreadPoolExecutor

from extension_harness import archives, case
from extension_harness.case import DEADLINE_S, FAILED, NOT_IN_ARCHIVE, OK, SEED, rounds, until

SCHEDULES = 20
AT_ONCE = 5  # one that fails takes 9 s of hardly any work
FILE, ABSENT, ALL = "lib/lib2.so", "lib/none.so", ""


class WaitersTest(case.ExtensionTest):
    def setUp(self):
        super().setUp()
        self.wanted = archives.entries(41, files=24, size=120_000)
        archives.write(self.archive, self.wanted)

    def test_each_hears_the_end(self):
        ends = collections.Counter()
        first, count = SEED, rounds(SCHEDULES)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for end in pool.map(self.play, range(first, first + count)):
                ends[end] += 1
        print(f"{count} schedules from seed {first} on ended in: {dict(ends)}")
        if count >= SCHEDULES:  # else these are schedules of nothing but errors, or of none
            self.assertGreater(ends["ready"], count // 4)
            self.assertGreater(ends["failed"] + ends["missing"], count // 10)

    def play(self, seed):
        try:
            return self.story(seed)
        except BaseException as error:
            raise AssertionError(f"seed {seed}; replay: TMPDUMP_SEED={seed} TMPDUMP_ROUNDS=1: {error}") from error

    def story(self, seed):
        destination = self.folder / f"destination-{seed}"
        destination.mkdir()
        authority = self.folder / f"authority-{seed}.pem"
        secure = {"tls": True, "ca_file": authority} if seed % 2 else {}
        # As slow as the waiters need to be there before the files: a second.
        origin = self.start_origin(faults=seed, total_mbps=8, **secure)
        told = origin.log.wait_for("^faults: ", DEADLINE_S).text
        api = self.start_api()
        prefetch = self.start(api, origin.endpoint, TMPDUMP_DEST=str(destination),
                              AWS_CA_BUNDLE=str(authority) if secure else None)
        until(lambda: (destination / ".tmpdump/manifest").exists(), "a manifest there")
        waiters = {path: self.wait_beside(path, destination) for path in (FILE, ABSENT, ALL)}

        end = prefetch.log.wait_for(r'"tmpdump\.(ready|missing|failed)"', DEADLINE_S)
        outcome = json.loads(end.text)
        end = outcome["event"].removeprefix("tmpdump.")
        heard = {path: waiter.result() for path, waiter in waiters.items()}
        seen = archives.found(destination)
        self.assertEqual(archives.difference(seen, self.wanted, partial=end != "ready"), "", told)
        if end == "ready":
            self.assertEqual(heard, {FILE: (OK, ""), ABSENT: (NOT_IN_ARCHIVE, ""), ALL: (OK, "")}, told)
        else:
            reason = (FAILED, outcome["message"])
            self.assertEqual(heard[ALL], reason, told)
            self.assertIn(heard[FILE], (reason, (OK, "")), told)
            self.assertIn(heard[ABSENT], (reason, (NOT_IN_ARCHIVE, "")), told)
        if heard[FILE] == (OK, ""):
            self.assertEqual(seen[FILE], self.wanted[FILE], told)
        if end != "failed":
            api.shut_down()
        self.assertEqual(prefetch.status(), 1 if end == "failed" else 0, told)
        for waiter in waiters.values():
            waiter.close()
        origin.close()
        return end


if __name__ == "__main__":
    case.main()
