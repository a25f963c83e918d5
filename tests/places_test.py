# SPDX-License-Identifier: Apache-2.0
"""What may stand where the extension's own things should be, and what others may do to them while it works: it gets ready
with the right tree, or says why not in time; whoever waits is told; nothing outside of the destination is touched.

    places_test.py BUILD_FOLDER

In a mount namespace of its own, for file systems that are full or read-only.
"""
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

from extension_harness import archives, case
from extension_harness.api import INIT_ERROR, REGISTER
from extension_harness.case import ANOTHER, DAEMON_DIED, DEADLINE_S, FAILED, OK, other_users

END = r'"tmpdump\.(ready|missing|failed)"'
FEWEST_TOGETHER, MOST_TOGETHER_S = 10, 8  # a machine that is busy takes longer for a round
MOST_SWAPPED = 200  # runs: as many until one gets ready while folders become links


class PlacesTest(case.ExtensionTest):
    def setUp(self):
        super().setUp()
        self.wanted = archives.entries(41, files=12)
        archives.write(self.archive, self.wanted)
        self.origin, self.api = self.start_origin(), self.start_api()
        self.victim = self.folder / "victim"
        self.victim.mkdir()
        (self.victim / "precious").write_bytes(b"untouched")

    def mount(self, options):
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(self.destination)], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", str(self.destination)], check=True)

    def assert_victim_untouched(self):
        self.assertEqual(os.listdir(self.victim), ["precious"])
        self.assertEqual((self.victim / "precious").read_bytes(), b"untouched")

    def run_here(self, **variables):
        """(ended well, its reason) of one run."""
        self.api.requests.clear()
        prefetch = self.start(self.api, self.origin.endpoint, TMPDUMP_DEST=str(self.destination), **variables)
        said = prefetch.log.wait_for(END, DEADLINE_S).text
        if "ready" in said:
            prefetch.terminate()
        status = prefetch.status()
        self.assert_victim_untouched()
        if "ready" in said:
            self.assertEqual(status, 0)
            return True, ""
        self.assertEqual(status, 1, prefetch.log.text())
        event = prefetch.event("tmpdump.failed")
        told = self.api.wait_for(INIT_ERROR).body.decode()
        self.assertIn(event["errorType"], told)
        return False, event["message"]

    def assert_refused(self, *words):
        good, reason = self.run_here()
        self.assertFalse(good)
        for word in words:
            self.assertIn(word, reason)
        self.assertNotIn("\n", reason)

    def assert_gets_ready(self):
        good, reason = self.run_here()
        self.assertTrue(good, reason)
        found = archives.found(self.destination)
        self.assertEqual(archives.difference({path: found[path] for path in found if path in self.wanted}, self.wanted), "")

    def test_full(self):
        self.mount("size=256k")
        (self.destination / "of the function").write_bytes(bytes(200 << 10))
        self.assert_refused(str(self.destination), "free")
        os.unlink(self.destination / "of the function")
        self.assert_refused("raise the function's ephemeral storage")
        subprocess.run(["mount", "-o", "remount,size=64m", str(self.destination)], check=True)
        self.assert_gets_ready()

    def test_full_to_the_last_block(self):
        self.mount("size=64k")
        with open(self.destination / "of the function", "wb", buffering=0) as file:
            try:
                while file.write(bytes(4096)):
                    pass
            except OSError:
                pass
        self.assert_refused("No space left on device")
        self.assertEqual(self.wait_beside().result()[0], case.NO_DAEMON)

    def test_no_room_for_two_archives(self):
        """Another archive, as large, after the first: what that left makes room for it."""
        self.mount("size=6m")
        for seed in 1, 2, 3:
            self.wanted = {f"lib/{name}.so": ("file", 0o755, random.Random(seed * name).randbytes(500_000)) for name in range(1, 9)}
            archives.write(self.archive, self.wanted)
            self.assert_gets_ready()

    def test_no_inodes(self):
        self.mount("size=64m,nr_inodes=9")
        self.assert_refused("No space left on device")
        subprocess.run(["mount", "-o", "remount,nr_inodes=1000", str(self.destination)], check=True)
        self.assert_gets_ready()

    def test_read_only(self):
        self.mount("ro")
        self.assert_refused("Read-only file system")

    def test_no_destination(self):
        self.destination = self.folder / "new"
        self.assert_gets_ready()
        self.destination = self.folder / "not" / "there"
        self.assert_refused(str(self.destination), "No such file or directory")

    def test_destination_is_something_else(self):
        self.destination = self.folder / "file"
        self.destination.write_bytes(b"x")
        self.assert_refused("Not a directory")
        self.destination = self.folder / "link"
        self.destination.symlink_to(self.folder / "tmp")
        self.assert_gets_ready()  # whoever sets TMPDUMP_DEST chooses
        self.destination = self.folder / "loop"
        self.destination.symlink_to(self.destination)
        self.assert_refused("Too many levels of symbolic links")

    def test_not_ours_to_write(self):
        """Not as root, to whom nothing is forbidden; and a denial on this machine is no missing archive."""
        if not other_users():
            self.skipTest("needs another user")
        self.destination.chmod(0o555)
        self.folder.chmod(0o755)
        program = self.folder / "tmpdump-prefetch"
        shutil.copy(case.build / "bin" / "tmpdump-prefetch", program)
        process = subprocess.run(["setpriv", f"--reuid={ANOTHER}", f"--regid={ANOTHER}", "--clear-groups", program],
                                 env=self.settings(self.api, self.origin.endpoint), stdout=subprocess.PIPE, text=True,
                                 timeout=DEADLINE_S, check=False)
        self.assertEqual(process.returncode, 1, process.stdout)
        self.assertIn('"tmpdump.failed"', process.stdout)
        self.assertIn("Permission denied", process.stdout)

    def test_what_stands_where_ours_should_be(self):
        own = self.destination / ".tmpdump"
        made = {  # what to make, where, and what the reason says; None: it gets ready
            "file": (lambda path: path.write_bytes(b"x"), {".tmpdump": "", "stage": "not a directory", "manifest": None,
                                                           "lock": None, "manifest.previous": None, "manifest.new": None}),
            "link": (lambda path: path.symlink_to(self.victim), {".tmpdump": "", "stage": "symlink", "manifest": None,
                                                                 "lock": "", "manifest.previous": None,
                                                                 "manifest.new": None}),
            "link to a file": (lambda path: path.symlink_to(self.victim / "precious"),
                               {".tmpdump": "", "stage": "symlink", "manifest": None, "lock": "",
                                "manifest.previous": None, "manifest.new": None}),
            "folder": (lambda path: path.mkdir(), {"manifest": "", "lock": "", "manifest.new": ""}),
            "pipe": (os.mkfifo, {"manifest": None, "lock": None, "manifest.previous": None}),
            "another's file": (lambda path: (path.write_bytes(b"x"), os.chown(path, ANOTHER, ANOTHER)),
                               {"manifest": None, "lock": "another user", "manifest.previous": None}),
            "another's folder": (lambda path: (path.mkdir(), os.chown(path, ANOTHER, ANOTHER)),
                                 {".tmpdump": "another user", "stage": "another user"}),
            "a folder that others may write": (lambda path: (path.mkdir(), path.chmod(0o777)), {".tmpdump": "another user",
                                                                                               "stage": None})}
        for what, (make, places) in made.items():
            if what.startswith("another's") and not other_users():
                print(f"left out, there are no other users here: {what}")
                continue
            for place, reason in places.items():
                with self.subTest(f"{what} at {place}"):
                    shutil.rmtree(self.destination)
                    self.destination.mkdir()
                    if place != ".tmpdump":
                        own.mkdir(0o755)
                    make(own if place == ".tmpdump" else own / place)
                    if reason is None:
                        self.assert_gets_ready()
                    else:
                        self.assert_refused(reason, str(self.destination))
                        path = own if place == ".tmpdump" else own / place
                        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
                        self.assert_gets_ready()

    def test_what_stands_where_the_archives_should_be(self):
        lib, file = self.destination / "lib", next(path for path in self.wanted if path.startswith("lib/lib"))
        stories = {"a file": lambda: lib.write_bytes(b"x"), "a link out": lambda: lib.symlink_to(self.victim),
                   "a link to nothing": lambda: lib.symlink_to(self.victim / "new"),
                   "a folder that holds something at a file's place": lambda: (self.destination / file / "x").mkdir(parents=True)}
        for story, make in stories.items():
            with self.subTest(story):
                shutil.rmtree(self.destination)
                self.destination.mkdir()
                make()
                good, reason = self.run_here()
                self.assertFalse(good)
                self.assertIn("remove it", reason)
        with self.subTest("links, pipes and empty folders at files' places"):  # they are replaced, not followed
            shutil.rmtree(self.destination)
            lib.mkdir(parents=True)
            names = [path for path in self.wanted if self.wanted[path][0] == "file"]
            (self.destination / names[0]).symlink_to(self.victim / "precious")
            os.mkfifo(self.destination / names[1])
            (self.destination / names[2]).mkdir()
            self.assert_gets_ready()

    def test_two_at_once(self):
        slow = self.start_origin(total_mbps=8)
        first = self.start(self.api, slow.endpoint)
        first.log.wait_for("tmpdump.registered", DEADLINE_S)
        waiter = self.wait_beside()
        good, reason = self.run_here()
        self.assertFalse(good)
        self.assertIn("another tmpdump works on", reason)
        first.log.wait_for("tmpdump.ready", DEADLINE_S)
        self.assertEqual(waiter.result(), (OK, ""))
        self.assertEqual(archives.difference(archives.found(self.destination), self.wanted), "")

    def start_behind(self, gate):
        """One that starts once nobody can write to `gate`, a pipe, any more; it is at the gate when this returns."""
        program = case.SANITIZED or case.build / "bin" / "tmpdump-prefetch"
        prefetch = case.Prefetch(self.settings(self.api, self.origin.endpoint), program="/bin/sh", stdin=gate,
                                 arguments=["-c", f'read -r _; exec "{program}"'])
        self.addCleanup(prefetch.kill)

        def waits():
            number, arguments = prefetch.system_call() or (None, None)
            return number == case.READ and arguments[0] == 0
        case.until(waits, "at the gate")
        return prefetch

    def start_together(self, count):
        gate, key = os.pipe()
        runs = [self.start_behind(gate) for _ in range(count)]
        os.close(gate)
        os.close(key)
        return runs

    def test_two_at_the_same_instant(self):
        """In an empty destination, and over what the last two left. One works, the other says so; never none, never both."""
        rounds, firsts, begin = 0, 0, time.monotonic()
        while rounds < FEWEST_TOGETHER or (rounds < case.rounds(50) and time.monotonic() - begin < MOST_TOGETHER_S):
            if rounds % 2 == 0:
                self.destination = self.folder / f"together-{rounds}"
                self.destination.mkdir()
            self.api.requests.clear()
            runs = self.start_together(2)
            ends = [run.log.wait_for(END, DEADLINE_S).text for run in runs]
            good = [run for run, end in zip(runs, ends) if "tmpdump.ready" in end]
            self.assertEqual(len(good), 1, ends)
            (refused,) = set(runs) - set(good)
            self.assertEqual(refused.status(), 1, refused.log.text())
            self.assertIn(f"another tmpdump works on '{self.destination}'", refused.event("tmpdump.failed")["message"])
            good[0].terminate()
            self.assertEqual(good[0].status(), 0, good[0].log.text())
            self.assertEqual(archives.difference(archives.found(self.destination), self.wanted), "")
            self.assertEqual(set(os.listdir(self.destination / ".tmpdump")), {"manifest", "lock"})
            self.assertEqual(good[0].event("tmpdump.ready")["kept"], len(self.wanted) * (rounds % 2))
            rounds, firsts = rounds + 1, firsts + (good[0] is runs[0])
        print(f"{rounds} times two at the same instant: {firsts} times the one that had been at the gate first")

    def test_folders_become_links_while_it_writes(self):
        """Somebody who may write to the destination puts a link to the victim in the place of each folder, over and over."""
        self.wanted = {f"lib/sub/{number}.so": ("file", 0o644, bytes([number]) * 100) for number in range(200)}
        archives.write(self.archive, self.wanted)
        lib, aside, stop = self.destination / "lib", self.folder / "aside", threading.Event()
        swaps, pause, outcomes = 0, 0, []  # (ended well, links that were there meanwhile)

        def swap():
            nonlocal swaps
            while not stop.is_set():
                for place in (lib, lib / "sub"):
                    try:
                        os.rename(place, aside)
                        os.symlink(self.victim, place)
                        swaps += 1
                        os.unlink(place)
                        os.rename(aside, place)
                    except OSError:
                        if aside.is_symlink():
                            aside.unlink(missing_ok=True)
                        shutil.rmtree(aside, ignore_errors=True)
                stop.wait(pause)

        thread = threading.Thread(target=swap)
        thread.start()
        try:
            while len(outcomes) < case.rounds(15) or not any(good and links for good, links in outcomes):
                self.assertLess(len(outcomes), MOST_SWAPPED, f"none got ready under swaps: {outcomes}")
                shutil.rmtree(lib, ignore_errors=True)  # it has to write all again
                # Seconds: many links in a run, or few; fewer and fewer for a program or a machine that is slow.
                before, pause = swaps, (0, 0.002, 0.02, 0.01 * len(outcomes))[len(outcomes) % 4]
                good, _ = self.run_here()
                outcomes.append((good, swaps - before))
        finally:
            stop.set()
            thread.join()
        self.assert_victim_untouched()
        print(f"{sum(good for good, _ in outcomes)} of {len(outcomes)} got ready under {swaps} swaps")
        shutil.rmtree(lib, ignore_errors=True)
        self.assert_gets_ready()


class DisturbedTest(case.ExtensionTest):
    """While it works."""

    def setUp(self):
        super().setUp()
        self.wanted = archives.entries(42, files=40)
        archives.write(self.archive, self.wanted)
        self.api = self.start_api()

    def assert_whole(self, partial=False):
        self.assertEqual(archives.difference(archives.found(self.destination), self.wanted, partial), "")

    def test_stopped_and_continued_at_random_instants(self):
        chance = random.Random(case.SEED)
        origin = self.start_origin(total_mbps=64)
        stops = 0
        for number in range(case.rounds(6)):
            self.destination = self.folder / f"tmp-{number}"
            self.destination.mkdir()
            self.api.requests.clear()
            prefetch = self.start(self.api, origin.endpoint)
            self.api.wait_for(REGISTER)
            waiter = self.wait_beside()
            while not prefetch.log.has("tmpdump.ready") and not prefetch.log.ended:
                time.sleep(chance.uniform(0, 0.08))  # the random moments, and how long
                prefetch.terminate(signal.SIGSTOP)
                time.sleep(chance.uniform(0, 0.15))
                prefetch.terminate(signal.SIGCONT)
                stops += 1
            self.assertEqual(waiter.result(), (OK, ""))
            prefetch.terminate()
            self.assertEqual(prefetch.status(), 0, prefetch.log.text())
            self.assert_whole()
        print(f"stopped {stops} times")

    def disturb_manifest(self, how):
        """(the run, a waiter's result) when `how` befalls the manifest that the daemon has mapped."""
        prefetch = self.start(self.api, self.start_origin(total_mbps=4).endpoint)
        prefetch.log.wait_for("tmpdump.published", DEADLINE_S)
        path = self.destination / ".tmpdump" / "manifest"
        waiters = [self.wait_beside(), self.wait_beside()]
        for waiter in waiters:
            waiter.asleep()
        how(path)
        results = [waiter.result()[0] for waiter in waiters]
        prefetch.log.wait_for(r"tmpdump\.(ready|failed)", DEADLINE_S)
        if prefetch.log.has("tmpdump.ready"):
            prefetch.terminate()
        prefetch.status()
        self.assert_whole(partial=True)
        return prefetch, results

    def recover(self):
        prefetch = self.start(self.api, self.start_origin().endpoint)
        prefetch.log.wait_for("tmpdump.ready", DEADLINE_S)
        prefetch.terminate()
        self.assertEqual(prefetch.status(), 0)
        self.assert_whole()

    def test_manifest_truncated(self):
        prefetch, results = self.disturb_manifest(lambda path: os.truncate(path, 0))
        self.assertEqual(prefetch.process.returncode, 1)
        self.assertIn("truncated by another process", prefetch.event("tmpdump.failed")["message"])
        for code in results:
            self.assertIn(code, (DAEMON_DIED, case.FAILED + 1))  # or: the manifest is damaged
        self.recover()

    def test_manifest_scribbled_over(self):
        def scribble(path):
            with open(path, "r+b") as file:
                file.write(b"\xff" * 24 + bytes([77]))
                file.seek(4096)
                file.write(random.Random(2).randbytes(path.stat().st_size - 4096))
        _, results = self.disturb_manifest(scribble)
        for code in results:
            self.assertNotEqual(code, OK)
        self.recover()

    def test_manifest_removed(self):
        prefetch, results = self.disturb_manifest(os.unlink)
        self.assertEqual(set(results) - {OK, DAEMON_DIED, FAILED}, set())
        self.recover()


if __name__ == "__main__":
    if os.environ.get("TMPDUMP_NAMESPACE") != "1":
        mine = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-Urm"]
        os.environ["TMPDUMP_NAMESPACE"] = "1"
        os.execvp(mine[0], [*mine, sys.executable, *sys.argv])
    case.main()
