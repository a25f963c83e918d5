# SPDX-License-Identifier: Apache-2.0
"""Lambda kills an INIT that takes too long, at any instant, and starts it again over the same /tmp: what was there stays
good, what was missing comes, nothing is ever half there.
"""
import os
import random
import shutil
import signal
import threading
import time
from collections import Counter
from pathlib import Path

from extension_harness import archives, case
from extension_harness.api import REGISTER
from extension_harness.case import DAEMON_DIED, DEADLINE_S, NO_DAEMON, OK, manifest

KILLS = 40
TAIL = 128 << 10  # bytes that a run asks for in any case: the directory
MBPS = 64  # some 0.5 s for the archive
SLOW_MBPS = 8
PAUSED = "T (stopped)"


def published(destination):
    """Paths that the newest account, the manifest or the one before it, calls published; its ETag."""
    for name in ("manifest", "manifest.previous"):
        path = destination / ".tmpdump" / name
        if path.exists():
            etag_size = int.from_bytes(path.read_bytes()[84:88], "little")
            entries = manifest.read(path).entries
            if entries:
                etag = path.read_bytes()[1536:1536 + etag_size]
                return {entry.path for entry in entries if entry.state == manifest.PUBLISHED}, etag
    return set(), b""


def inodes(destination, paths):
    return {path: os.lstat(destination / path).st_ino for path in paths}


class ReinitTest(case.ExtensionTest):
    def setUp(self):
        super().setUp()
        self.wanted = archives.entries(5, files=40)
        archives.write(self.archive, self.wanted)
        self.origin = self.start_origin(total_mbps=MBPS)
        self.api = self.start_api()

    def start_here(self, **variables):
        return self.start(self.api, self.origin.endpoint, **variables)

    def finish(self, prefetch):
        """Lets it get ready and ends it; what its ready line says."""
        prefetch.log.wait_for("tmpdump.ready", DEADLINE_S)
        prefetch.terminate()
        self.assertEqual(prefetch.status(), 0, prefetch.log.text())
        return prefetch.event("tmpdump.ready")

    def kill_after(self, seconds):
        """Starts it and kills it so much later; the run's log, whatever it says."""
        prefetch = self.start_here()
        time.sleep(seconds)  # not to wait for something: the random moment
        prefetch.kill()
        return prefetch

    def kill_when(self, pattern):
        prefetch = self.start_here()
        prefetch.log.wait_for(pattern, DEADLINE_S)
        prefetch.kill()

    def assert_whole(self, wanted=None, partial=False):
        self.assertEqual(archives.difference(archives.found(self.destination), wanted or self.wanted, partial), "")

    def assert_nothing_left_over(self):
        """Of us only the manifest and the lock stay."""
        self.assertEqual(set(os.listdir(self.destination / ".tmpdump")), {"manifest", "lock"})

    def test_killed_at_random_instants(self):
        chance = random.Random(case.SEED)
        kills, chains, kept = 0, 0, []
        while kills < case.rounds(KILLS):
            self.destination = self.folder / f"tmp-{chains}"
            self.destination.mkdir()
            for _ in range(chance.randint(1, 8)):
                self.kill_after(chance.choice((chance.uniform(0, 0.05), chance.uniform(0, 0.3))))
                kills += 1
                self.assert_whole(partial=True)
            there, _ = published(self.destination)
            before = inodes(self.destination, there)
            ready = self.finish(self.start_here())
            self.assert_whole()
            self.assert_nothing_left_over()
            self.assertEqual(ready["kept"], len(there))
            self.assertEqual(inodes(self.destination, there), before)  # may be mapped: never written again
            kept.append(len(there))
            chains += 1
        print(f"{kills} kills, {chains} runs that finished; kept of {len(self.wanted)}: {kept}")

    def stop(self, prefetch):
        prefetch.terminate(signal.SIGSTOP)
        tasks = Path(f"/proc/{prefetch.process.pid}/task")
        case.until(lambda: all(PAUSED in (task / "status").read_text() for task in tasks.iterdir()), "stopped")

    def stopped(self, instant):
        """One that stands still: before its first instruction, right behind it, while it registers, or after so many lines of
        its log.
        """
        registering, answer = threading.Event(), threading.Event()
        api = self.start_api(on_register=lambda: (registering.set(), answer.wait(DEADLINE_S)))
        if instant != "registering":
            answer.set()
        if instant == "unborn":
            program = case.SANITIZED or case.build / "bin" / "tmpdump-prefetch"
            first = case.Prefetch(self.settings(api, self.origin.endpoint), program="/bin/sh",
                                  arguments=["-c", f'kill -STOP $$; exec "{program}"'])
            self.addCleanup(first.kill)
            case.until(lambda: PAUSED in Path(f"/proc/{first.process.pid}/status").read_text(), "stopped")
            return first
        first = self.start(api, self.origin.endpoint)
        if instant == "registering":
            self.assertTrue(registering.wait(DEADLINE_S))
        elif instant != "born":
            case.until(lambda: len(first.log.lines) >= instant, f"at line {instant}")
        self.stop(first)
        answer.set()
        return first

    def refuse(self, prefetch):
        """It says who has the place, in time."""
        self.assertEqual(prefetch.status(), 1, prefetch.log.text())
        self.assertIn("another tmpdump works on", prefetch.event("tmpdump.failed")["message"])

    def test_a_second_start_while_the_first_is_stopped(self):
        """Who has the lock comes to the good end; the other says so at once, or finds everything there. Whoever waits, waits
        for one of them.
        """
        chance, ends = random.Random(case.SEED), Counter()
        prefetch = self.start_here()
        self.finish(prefetch)
        lines = len(prefetch.log.lines)
        instants = ["unborn", "unborn", "born", "registering", *(chance.randint(1, lines) for _ in range(case.rounds(8)))]
        for number, instant in enumerate(instants):
            self.destination = self.folder / f"tmp-{number}"
            self.destination.mkdir()
            first = self.stopped(instant)
            known = (self.destination / ".tmpdump" / "manifest").exists()
            waiter = self.wait_beside()
            second = self.start_here()
            second.log.wait_for(r"tmpdump\.(ready|failed)", DEADLINE_S)
            if second.log.has("tmpdump.failed"):
                end = "refused"
                self.refuse(second)
                first.terminate(signal.SIGCONT)
            elif number % 2:
                end = "finished, then the first"
                self.finish(second)
                first.terminate(signal.SIGCONT)
            else:
                end = "finished, beside it the first"
                first.terminate(signal.SIGCONT)
                self.refuse(first)
            ends[end] += 1
            self.assertTrue(known <= (end == "refused"), f"{instant}: {end}")
            self.assertIn(waiter.result()[0], (OK,) if known else (OK, NO_DAEMON))
            self.assertEqual(self.wait_beside().result(), (OK, ""))
            kept = self.finish(second if end.endswith("beside it the first") else first)["kept"]
            if end == "finished, then the first":
                self.assertEqual(kept, len(self.wanted))
            self.assert_whole()
            self.assert_nothing_left_over()
        print(f"stopped at {instants}; the second: {dict(ends)}")
        self.assertEqual(len(ends), 3)

    def test_a_second_start_fetches_the_directory_alone(self):
        first = self.finish(self.start_here())
        self.assertEqual((first["kept"], first["bytes"] >= self.archive.stat().st_size), (0, True))
        again = self.finish(self.start_here())
        self.assertEqual((again["kept"], again["requests"], again["bytes"]), (len(self.wanted), 1, TAIL))
        self.assert_whole()

    def test_what_was_published_is_not_fetched_again(self):
        """One file far larger than the gap that is cheaper to fetch than to leave out, then others."""
        wanted = {"a.bin": ("file", 0o644, random.Random(1).randbytes(6_000_000)),
                  "b.bin": ("file", 0o644, random.Random(2).randbytes(3_000_000))}
        archives.write(self.archive, wanted)
        self.kill_when('"tmpdump.published","detail":"[ab].bin"')
        there, = published(self.destination)[0]
        self.assert_whole(wanted, partial=True)
        ready = self.finish(self.start_here())
        self.assertEqual(ready["kept"], 1)
        self.assertLess(ready["bytes"], self.archive.stat().st_size - len(wanted[there][2]) + TAIL + 2000)
        self.assert_whole(wanted)

    def test_another_archive_starts_anew(self):
        self.kill_when("tmpdump.published")
        there, etag = published(self.destination)
        self.assertTrue(there)
        other = archives.entries(6, files=40)
        archives.write(self.archive, other)
        ready = self.finish(self.start_here())
        self.assertEqual(ready["kept"], 0)
        self.assertNotEqual(published(self.destination)[1], etag)
        self.assertEqual(archives.difference(archives.found(self.destination), other), "")
        self.assert_nothing_left_over()

    def test_what_another_archive_does_not_have_is_removed_and_nothing_else(self):
        def text(content):
            return "file", 0o644, content.encode()

        archives.write(self.archive, {"a/b/old": text("old"), "a/link": ("link", 0o777, b"b/old"), "both": text("1"),
                                      "mine/theirs": text("x"), "replaced": text("by the archive")})
        self.finish(self.start_here())
        (self.destination / "mine" / "other").write_text("the function's")
        os.unlink(self.destination / "replaced")
        (self.destination / "replaced").write_text("the function's")
        # A file where there was a folder that had no entry of its own.
        archives.write(self.archive, {"a": text("new"), "both": text("2")})
        self.finish(self.start_here())
        found = {path: content.decode() for path, (kind, _, content) in archives.found(self.destination).items() if kind == "file"}
        self.assertEqual(found, {"a": "new", "both": "2", "mine/other": "the function's", "replaced": "the function's"})
        self.assert_nothing_left_over()

    def test_a_folder_that_both_archives_have_stays(self):
        """Without an entry of its own. Who looked into it, as a loader, need not do so again."""
        for name in "first", "second":
            wanted = {f"lib/{name}.so": ("file", 0o755, name.encode())}
            archives.write(self.archive, wanted)
            self.finish(self.start_here())
            folders = {"lib": ("folder", 0o755, b"")}
            self.assert_whole({**wanted, **folders})
            if name == "first":
                before = inodes(self.destination, folders)
        self.assertEqual(inodes(self.destination, folders), before)

    def break_off(self, damaged, made):
        """A start over an archive of which one file is damaged: it fails once it has told what there is."""
        archives.write(self.archive, made)
        content = made[damaged][2]
        whole = self.archive.read_bytes()
        self.assertEqual(whole.count(content), 1)  # noise is stored as it is in a deflated entry
        self.archive.write_bytes(whole.replace(content, content[:-1] + bytes([content[-1] ^ 1])))
        prefetch = self.start_here()
        prefetch.log.wait_for("tmpdump.directory", DEADLINE_S)
        self.assertEqual(prefetch.status(), 1, prefetch.log.text())
        self.assertIn(damaged, prefetch.event("tmpdump.failed")["message"])

    def test_nothing_stays_of_the_predecessors_predecessor(self):
        """The one between them listed the file, but had not replaced it when it failed."""
        def noise(seed):
            return "file", 0o644, random.Random(seed).randbytes(1000)

        for story, third in (("no such file", {"a": noise(3)}), ("a folder in its place", {"x/y": noise(3)})):
            with self.subTest(story):
                self.destination = self.folder / story
                self.destination.mkdir()
                archives.write(self.archive, {"a": noise(1), "x": noise(1)})
                self.finish(self.start_here())
                self.break_off("x", {"a": noise(2), "x": noise(4)})
                archives.write(self.archive, third)
                self.finish(self.start_here())
                found = archives.found(self.destination)
                self.assertEqual({path: found[path] for path in found if found[path][0] == "file"}, third)
                self.assert_nothing_left_over()

    def test_nothing_stays_of_a_predecessor_when_the_object_changes(self):
        """The archive between them is replaced while it is fetched, before its own file is there."""
        archives.write(self.archive, {"a": ("file", 0o644, b"1"), "x": ("file", 0o644, b"1")})
        self.finish(self.start_here())
        archives.write(self.archive, {"a": ("file", 0o644, random.Random(1).randbytes(6_000_000)),
                                      "x": ("file", 0o644, random.Random(2).randbytes(10_000_000))})
        prefetch = self.start_here(TMPDUMP_CONNECTIONS="1")
        prefetch.log.wait_for("tmpdump.directory", DEADLINE_S)
        third = {"a": ("file", 0o644, b"3")}
        archives.write(self.archive, third)
        self.finish(prefetch)
        self.assertTrue(prefetch.log.has('"tmpdump.directory","detail":"2 entries'))
        self.assert_whole(third)
        self.assert_nothing_left_over()

    def test_folders_that_a_predecessor_closed(self):
        """To who is not root: of files that go, that are replaced, and that come before their folder."""
        if not case.other_users():
            self.skipTest("needs another user")
        program = self.folder / "tmpdump-prefetch"
        shutil.copy(case.SANITIZED or case.build / "bin" / "tmpdump-prefetch", program)
        self.folder.chmod(0o755)
        os.chown(self.destination, case.ANOTHER, case.ANOTHER)
        closed, dropbox = ("folder", 0o555, b""), ("folder", 0o300, b"")

        def text(content):
            return "file", 0o644, content.encode()

        for wanted in ({"d": closed, "d/x": text("1"), "d/y": text("1"), "d/e": closed, "d/e/z": text("1"), "out": dropbox, "out/f": text("1")},
                       {"d": closed, "d/y": text("2"), "out": dropbox, "out/f": text("2")},
                       {"d/y": text("3"), "d": closed, "out/g": text("3"), "out": dropbox},
                       {"d/y": text("4"), "d": ("folder", 0o755, b"")}):
            archives.write(self.archive, wanted)
            self.finish(self.start(self.api, self.origin.endpoint, program=program, user=case.ANOTHER))
            self.assert_whole(wanted)

    def test_what_somebody_changed_is_fetched_again(self):
        self.finish(self.start_here())
        path = max(self.wanted, key=lambda name: len(self.wanted[name][2]))
        os.unlink(self.destination / path)
        (self.destination / path).write_bytes(self.wanted[path][2][:-1] + b"?")
        ready = self.finish(self.start_here())
        self.assertEqual(ready["kept"], len(self.wanted) - 1)
        self.assert_whole()

    def test_stale_staging_is_removed(self):
        self.kill_when("tmpdump.directory")
        stage = self.destination / ".tmpdump" / "stage"
        stage.mkdir(exist_ok=True)
        (stage / "12345").write_bytes(b"half a file")
        self.finish(self.start_here())
        self.assert_nothing_left_over()

    def start_slowly(self):
        """With two who sleep: one waits for all, one for a file that takes 12 s."""
        self.wanted = {"first": ("file", 0o644, b"1"), "large": ("file", 0o644, random.Random(3).randbytes(12_000_000)),
                       "tail": ("file", 0o644, random.Random(4).randbytes(2 * TAIL))}
        archives.write(self.archive, self.wanted)
        prefetch = self.start(self.api, self.start_origin(total_mbps=SLOW_MBPS).endpoint)
        prefetch.log.wait_for("tmpdump.directory", DEADLINE_S)
        waiters = [self.wait_beside(), self.wait_beside("large")]
        for waiter in waiters:
            waiter.asleep()
        return prefetch, waiters

    def test_waiters_are_told_of_the_death(self):
        prefetch, waiters = self.start_slowly()
        prefetch.kill()
        self.assertEqual([waiter.result() for waiter in waiters], [(DAEMON_DIED, "")] * 2)

    def test_waiters_go_on_with_the_successor(self):
        """They are stopped while one dies and the next comes: what they see then is the new generation."""
        prefetch, waiters = self.start_slowly()
        for waiter in waiters:
            waiter.process.send_signal(signal.SIGSTOP)
            status = Path(f"/proc/{waiter.process.pid}/status")
            case.until(lambda s=status: PAUSED in s.read_text(), "stopped")
        prefetch.kill()
        successor = self.start(self.api, self.start_origin().endpoint)
        self.api.wait_for(REGISTER, count=2)  # its manifest is there
        for waiter in waiters:
            waiter.process.send_signal(signal.SIGCONT)
        for waiter in waiters:
            self.assertEqual(waiter.result(), (OK, ""))
        self.assertEqual(self.finish(successor)["etag"], published(self.destination)[1].decode().strip('"'))


if __name__ == "__main__":
    case.main()
