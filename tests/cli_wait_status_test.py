# SPDX-License-Identifier: Apache-2.0
"""`tmpdump wait`, `tmpdump status` and `tmpdump profile` as a person and a script use them, with a daemon that does as it is told.

cli_wait_status_test.py TMPDUMP MANIFEST_DAEMON
"""
import json
import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

from extension_harness.case import ANOTHER, other_users
from support.manifest_daemon import Daemon

FAILED, USAGE, NOT_FOUND, BAD_ARCHIVE, DENIED = 1, 2, 3, 4, 5
NO_FILE, NO_ACCESS, BAD_ZIP, NETWORK = 2, 3, 4, 6  # tmpdump::Errc
BYTES_RECEIVED, REQUESTS, RETRIES = 5, 6, 7  # tmpdump_manifest_counter


class Story(unittest.TestCase):
    def setUp(self):
        self.destination = tempfile.mkdtemp(prefix="tmpdump-test-")
        self.addCleanup(shutil.rmtree, self.destination, ignore_errors=True)

    def daemon(self, *orders):
        daemon = Daemon(DAEMON, self.destination, *orders)
        self.addCleanup(daemon.end)
        return daemon

    def begin(self, *arguments, out=subprocess.PIPE, program=()):
        """Runs on while the test goes on."""
        process = subprocess.Popen([*(program or [TMPDUMP]), *arguments], stdout=out, stderr=subprocess.PIPE, text=True,
                                   env=dict(os.environ, TMPDUMP_DEST=self.destination))
        self.addCleanup(lambda: process.poll() is None and process.kill())
        return process

    def end(self, process):
        out, error = process.communicate(timeout=120)
        return process.returncode, out, error

    def tmpdump(self, *arguments, program=()):
        return self.end(self.begin(*arguments, program=program))

    def assert_error(self, outcome, status, *words):
        code, out, error = outcome
        self.assertEqual((code, out), (status, ""), error)
        self.assertRegex(error, r"\Atmpdump: error: [^\n]*\n\Z")
        for word in words:
            self.assertIn(word, error)

    def asked_for(self, path):
        """Does a waiter wait for `path`? By the manifest, so that no test sleeps."""
        entries = json.loads(self.tmpdump("status", "--json")[1])["entries"]
        return next(e for e in entries if e["path"] == path)["first_wait_after_ns"] is not None

    def until_asked_for(self, path):
        while not self.asked_for(path):
            pass


class WaitTest(Story):
    def test_everything(self):
        daemon = self.daemon("list a.so b.so", "publish a.so")
        waiter = self.begin("wait")
        self.assert_error(self.tmpdump("wait", "--timeout", "0"), FAILED, "the archive was not ready", "within 0 s")
        daemon.order("publish b.so")
        daemon.order("ready")
        self.assertEqual(self.end(waiter), (0, "", ""))
        daemon.end()  # what is there stays there
        self.assertEqual(self.tmpdump("wait"), (0, "", ""))

    def test_a_file_and_its_closure_but_nothing_else(self):
        daemon = self.daemon("list lib/a.so=b.so lib/b.so=c.so lib/c.so other.so", "publish lib/a.so")
        waiter = self.begin("wait", "lib/a.so")
        self.until_asked_for("lib/b.so")
        self.assertFalse(self.asked_for("lib/c.so"))  # b.so has not said yet that it needs it
        daemon.order("publish lib/b.so")
        self.until_asked_for("lib/c.so")
        self.assertIsNone(waiter.poll())
        daemon.order("publish lib/c.so")
        self.assertEqual(self.end(waiter), (0, "", ""))
        self.assertEqual(self.tmpdump("wait", self.destination + "/lib/a.so", "lib/c.so"), (0, "", ""))

    def test_several_files_share_the_limit(self):
        self.daemon("list a.so b.so", "publish a.so")
        self.assert_error(self.tmpdump("wait", "a.so", "b.so", "--timeout", "0.05"), FAILED, "'b.so' was not ready",
                          "within 0.05 s", "tmpdump status")

    def test_the_option_goes_before_the_environment(self):
        self.daemon("list a.so", "publish a.so", "ready")
        here, self.destination = self.destination, self.destination + "/nowhere"
        self.assert_error(self.tmpdump("wait"), NOT_FOUND)
        self.assertEqual(self.tmpdump("wait", "--dest", here), (0, "", ""))
        self.destination = here

    def test_no_daemon(self):
        for arguments in [], ["a.so"], [self.destination + "/a.so"]:
            self.assert_error(self.tmpdump("wait", *arguments), NOT_FOUND,
                              f"no manifest at '{self.destination}/.tmpdump'", "TMPDUMP_DEST", "layer attached")

    def test_not_in_the_archive(self):
        self.daemon("list a.so")
        self.assert_error(self.tmpdump("wait", "no.so"), NOT_FOUND, "holds no 'no.so'", "tmpdump status")
        self.assert_error(self.tmpdump("wait", "../a.so"), NOT_FOUND, "holds no '../a.so'")
        self.assert_error(self.tmpdump("wait", "/usr/lib/a.so"), NOT_FOUND, "'/usr/lib/a.so' is not below",
                          self.destination)
        self.assert_error(self.tmpdump("wait", "\x1b[2J"), NOT_FOUND, "'\\x1b[2J'")

    def test_the_daemons_failure_gives_the_exit_status(self):
        for code, status in (NO_FILE, NOT_FOUND), (NO_ACCESS, DENIED), (BAD_ZIP, BAD_ARCHIVE), (NETWORK, FAILED):
            daemon = self.daemon("list a.so b.so", "publish a.so")
            waiters = [self.begin("wait"), self.begin("wait", "b.so")]
            daemon.order(f"fail-as {code} the reason of {code}")
            for waiter in waiters:
                self.assert_error(self.end(waiter), status, f"the reason of {code}", "ready")
            self.assertEqual(self.tmpdump("wait", "a.so"), (0, "", ""))
            daemon.end()

    def test_the_daemon_dies(self):
        daemon = self.daemon("list a.so")
        waiters = [self.begin("wait"), self.begin("wait", "a.so")]
        self.until_asked_for("a.so")
        daemon.kill()
        for waiter in waiters:
            self.assert_error(self.end(waiter), FAILED, "ended before", "its log says why")

    def test_untrusted_and_damaged(self):
        daemon = self.daemon("list a.so")
        os.chmod(self.destination + "/.tmpdump", 0o777)
        for verb in "wait", "status":
            self.assert_error(self.tmpdump(verb), DENIED, "another user")
        os.chmod(self.destination + "/.tmpdump", 0o755)
        daemon.end()
        with open(self.destination + "/.tmpdump/manifest", "r+b") as manifest:
            manifest.write(b"tmpdumb")
        for verb in "wait", "status":
            self.assert_error(self.tmpdump(verb), FAILED, "damaged")

    def test_usage(self):
        for arguments in (["--timeout", "-1"], ["--timeout", "nan"], ["--timeout", "soon"], ["--nonsense"],
                          ["--dest", ""], [""]):
            self.assert_error(self.tmpdump("wait", *arguments), USAGE)
        for arguments in ["--json", "--follow"], ["a.so"], ["--dest", ""]:
            self.assert_error(self.tmpdump("status", *arguments), USAGE)


class StatusTest(Story):
    def status(self):
        code, out, error = self.tmpdump("status", "--json")
        self.assertEqual((code, error), (0, ""))
        return json.loads(out)

    def test_no_daemon(self):
        for arguments in [], ["--json"], ["--follow"]:
            self.assert_error(self.tmpdump("status", *arguments), NOT_FOUND, "no manifest at", "TMPDUMP_DEST")

    def test_before_the_listing(self):
        daemon = self.daemon()
        status = self.status()
        self.assertEqual((status["state"], status["daemon_alive"], status["pid"], status["generation"]),
                         ("starting", True, daemon.process.pid, 1))
        self.assertEqual((status["listed_after_ns"], status["entries"]), (None, []))

    def test_json_tells_all(self):
        daemon = self.daemon("list lib/ lib/a.so=b.so lib/b.so lib/link@a.so", "publish lib", "publish lib/a.so",
                             f"count {BYTES_RECEIVED} 1234567", f"count {REQUESTS} 8")
        self.tmpdump("wait", "lib/a.so", "--timeout", "0")
        status = self.status()
        self.assertEqual(set(status), {
            "destination", "state", "daemon_alive", "daemon_died", "pid", "generation", "uri", "etag", "failure",
            "created_unix_ns", "started_monotonic_ns", "listed_after_ns", "finished_after_ns", "first_wait_after_ns",
            "counters", "entries"})
        self.assertEqual((status["state"], status["uri"], status["destination"], status["failure"]),
                         ("listed", "s3://b/k", self.destination, None))
        counters = status["counters"]
        self.assertEqual((counters["files_total"], counters["files_published"], counters["bytes_received"],
                          counters["requests"]), (4, 2, 1234567, 8))
        directory, library, needed, link = status["entries"]
        self.assertEqual([(e["path"], e["kind"], e["state"]) for e in status["entries"]], [
            ("lib", "directory", "published"), ("lib/a.so", "file", "published"), ("lib/b.so", "file", "pending"),
            ("lib/link", "symlink", "pending")])
        self.assertEqual((library["needs"], directory["needs"], needed["needs"]), (["lib/b.so"], [], None))
        self.assertGreaterEqual(library["published_after_ns"], status["listed_after_ns"])
        self.assertGreater(needed["first_wait_after_ns"], library["published_after_ns"])
        self.assertIsNone(link["first_wait_after_ns"])
        daemon.order("publish lib/b.so")
        daemon.order("publish lib/link")
        daemon.order("ready")
        self.assertEqual(self.status()["entries"][3]["needs"], ["lib/a.so"])

    def test_a_finished_run_and_its_table(self):
        daemon = self.daemon("list lib/ lib/a.so lib/link@a.so", "publish lib", "publish lib/a.so", "publish lib/link",
                             f"count {BYTES_RECEIVED} 1234567", f"count {RETRIES} 1", "ready")
        pid = daemon.process.pid
        self.assertIn(f"state       ready (daemon is alive, pid {pid})\n", self.tmpdump("status")[1])
        daemon.end()
        code, out, error = self.tmpdump("status")
        self.assertEqual((code, error), (0, ""))
        self.assertIn(f"state       ready (daemon has ended, pid {pid})\n", out)
        self.assertIn("source      s3://b/k\n", out)
        self.assertIn("entries     3 of 3 published, 0 kept from before\n", out)
        self.assertIn("received    1.2 MB, 0 requests, 1 retry, 0 hedges\n", out)
        table = out.split("\n\n")[1].splitlines()
        self.assertEqual(len(table), 4)
        column = table[0].index("path")
        self.assertEqual([line[column:] for line in table], ["path", "lib/", "lib/a.so", "lib/link@"])
        self.assertRegex(table[2], r"^published +[0-9.]+ k?B +[0-9.]+ ms +- ")

    def test_a_failure_is_shown_not_returned(self):
        self.daemon("list a.so", f"fail-as {BAD_ZIP} the CRC of 'a.so' is wrong")
        self.assertIn("failure     BadArchive: the CRC of 'a.so' is wrong\n", self.tmpdump("status")[1])
        status = self.status()
        self.assertEqual((status["failure"], status["entries"][0]["state"]), (
            {"code": "BadArchive", "exit_status": 4, "reason": "the CRC of 'a.so' is wrong"}, "failed"))

    def test_a_death(self):
        self.daemon("list a.so").kill()
        code, out, _ = self.tmpdump("status")
        self.assertIn("state       listed (the daemon died)\n", out)
        self.assertEqual((code, self.status()["daemon_died"]), (0, True))

    def test_names_cannot_act_on_the_terminal(self):
        self.daemon("list \x1b[2J.so gr\u00fc\u00df.so \u009bJ.so")
        out = self.tmpdump("status")[1]
        self.assertNotRegex(out, "[\x00-\x09\x0b-\x1f\x7f-\x9f]")
        for name in "\\x1b[2J.so", "gr\u00fc\u00df.so", "\\xc2\\x9bJ.so":
            self.assertIn(f"  {name}\n", out)
        entries = self.status()["entries"]
        self.assertEqual([(e["path"], e.get("path_escaped")) for e in entries],
                         [("\x1b[2J.so", None), ("gr\u00fc\u00df.so", None), ("\\xc2\\x9bJ.so", True)])


class FollowTest(Story):
    def test_a_line_for_each_file(self):
        daemon = self.daemon()
        follower = self.begin("status", "--follow")
        self.assertRegex(follower.stdout.readline(), r"^following: generation 1 of .* from s3://b/k, pid \d+\n$")
        daemon.order("list a.so b.so c.so")
        self.assertRegex(follower.stdout.readline(), r"^listed after [0-9.]+ ms: 3 entries, ")
        for name in "c.so", "a.so", "b.so":
            daemon.order(f"publish {name}")
            self.assertRegex(follower.stdout.readline(), rf"^ *[0-9.]+ ms +[0-9.]+ k?B  {name}\n$")
        daemon.order("ready")
        code, rest, error = self.end(follower)
        self.assertEqual((code, error), (0, ""))
        self.assertRegex(rest, r"^ready after [0-9.]+ ms: 3 of 3 entries, 0 B received\n$")

    def test_files_that_come_at_once_are_in_their_order(self):
        names = [f"{i}.so" for i in range(50)]
        daemon = self.daemon("list " + " ".join(names), *[f"publish {name}" for name in reversed(names)])
        follower = self.begin("status", "--follow")
        daemon.order("ready")
        code, out, _ = self.end(follower)
        self.assertEqual((code, re.findall(r"  (\d+\.so)\n", out)), (0, names[::-1]))

    def test_another_generation(self):
        daemon = self.daemon("list a.so b.so", "publish a.so")
        follower = self.begin("status", "--follow")
        for _ in "following", "listed", "a.so":
            follower.stdout.readline()
        daemon.order("restart")
        self.assertRegex(follower.stdout.readline(), r"^starting over: generation 2 ")
        daemon.order("list c.so")
        self.assertRegex(follower.stdout.readline(), r"^listed after .* 1 entries")
        daemon.order("publish c.so")
        self.assertRegex(follower.stdout.readline(), r"  c\.so\n$")
        daemon.order("ready")
        self.assertEqual(self.end(follower)[0], 0)

    def test_the_daemons_failure(self):
        for code, status in (NO_FILE, NOT_FOUND), (NO_ACCESS, DENIED), (BAD_ZIP, BAD_ARCHIVE), (NETWORK, FAILED):
            daemon = self.daemon()
            follower = self.begin("status", "--follow")
            follower.stdout.readline()
            daemon.order(f"fail-as {code} the reason of {code}")
            ended, rest, error = self.end(follower)
            self.assertEqual(ended, status)
            self.assertRegex(rest, "^failed after ")
            self.assertRegex(error, rf"\Atmpdump: error: [^\n]*the reason of {code}\n\Z")
            daemon.end()

    def test_the_daemon_dies(self):
        daemon = self.daemon("list a.so b.so", "publish a.so")
        follower = self.begin("status", "--follow")
        for _ in "following", "listed", "a.so":
            follower.stdout.readline()
        daemon.kill()
        code, rest, error = self.end(follower)
        self.assertEqual(code, FAILED)
        self.assertRegex(rest, r"^died: 1 of 2 entries")
        self.assertIn("ended before everything was ready", error)

    def test_a_reader_that_goes_ends_it(self):
        daemon = self.daemon("list a.so b.so")
        follower = self.begin("status", "--follow")
        follower.stdout.readline()
        follower.stdout.readline()
        follower.stdout.close()
        daemon.order("publish a.so")
        self.assertIn("write the status", follower.stderr.read())
        self.assertEqual(follower.wait(), FAILED)
        follower.stderr.close()

    def test_a_terminal_is_redrawn_and_keeps_the_table(self):
        daemon = self.daemon("list a.so b.so", "publish a.so")
        ours, its = pty.openpty()
        self.addCleanup(os.close, ours)
        follower = self.begin("status", "--follow", out=its)
        os.close(its)
        seen = ""

        def read():
            try:
                return os.read(ours, 65536).decode()
            except OSError:  # EIO: the other side has ended
                return ""
        while "pending" not in seen:
            seen += read()
        self.assertIn("1 of 2 published", seen)
        daemon.order("publish b.so")
        daemon.order("ready")
        rest = ""
        while more := read():
            rest += more
        self.assertEqual(self.end(follower)[0], 0)
        self.assertRegex(rest, r"\x1b\[\d+A\r\x1b\[J")  # back up over what was drawn
        last = (seen + rest).split("\x1b[J")[-1]
        self.assertTrue(last.startswith("state       ready"), last)
        self.assertEqual(re.findall(r"  (\S+\.so)\r\n", last), ["a.so", "b.so"])
        self.assertEqual((seen + rest).count("\x1b[?7l"), (seen + rest).count("\x1b[?7h"))


class ProfileTest(Story):
    def used(self):
        """A daemon of whose files b, a and what a needs were used, in this order; a came late."""
        daemon = self.daemon("list lib/ lib/a.so=c.so lib/b.so lib/c.so lib/link@b.so lib/unused.so=x.so,y.so,z.so small",
                             "publish lib/b.so")
        self.assertEqual(self.tmpdump("wait", "lib/b.so")[0], 0)
        waiter = self.begin("wait", "lib/a.so")
        self.until_asked_for("lib/a.so")
        for name in "lib/a.so", "lib/c.so":
            self.until_asked_for(name)
            daemon.order(f"publish {name}")
        self.assertEqual(self.end(waiter)[0], 0)
        return daemon

    def test_a_table(self):
        self.used()
        code, out, error = self.tmpdump("profile")
        self.assertEqual((code, error), (0, ""))
        self.assertRegex(out, r"\Aused         3 of 6, ")
        used, unused = out.split("\nnever used   3 of 6, ")
        self.assertEqual(re.findall(r"  (\S+)\n", used.split("path\n")[1]), ["lib/b.so", "lib/a.so", "lib/c.so"])
        self.assertRegex(used, r"\n +[0-9.]+ ms +was there +[0-9.]+ k?B  lib/b\.so\n +[0-9.]+ ms +[0-9.]+ ms .* lib/a\.so\n")
        self.assertEqual(re.findall(r"  (\S+)\n", unused.split("path\n")[1]), ["lib/unused.so", "small", "lib/link"])

    def test_json(self):
        self.used()
        code, out, error = self.tmpdump("profile", "--json")
        self.assertEqual((code, error), (0, ""))
        profile = json.loads(out)
        self.assertEqual(set(profile), {"destination", "uri", "etag", "waited_for_everything", "used", "unused"})
        self.assertEqual([entry["path"] for entry in profile["used"]], ["lib/b.so", "lib/a.so", "lib/c.so"])
        self.assertEqual([entry["path"] for entry in profile["unused"]], ["lib/unused.so", "small", "lib/link"])
        times = [entry["first_use_after_ns"] for entry in profile["used"]]
        self.assertEqual(times, sorted(times))
        self.assertEqual(profile["used"][0]["waited_ns"], 0)
        self.assertGreater(profile["used"][1]["waited_ns"], 0)
        self.assertFalse(profile["waited_for_everything"])

    def test_a_file_for_packing(self):
        self.used()
        path = self.destination + "/profile.txt"
        code, out, _ = self.tmpdump("profile", "--output", path)
        self.assertEqual((code, out), (0, self.tmpdump("profile")[1]))
        with open(path, encoding="utf-8") as file:
            text = file.read()
        self.assertEqual(text, "# s3://b/k, ETag : in the order of first use\nlib/b.so\nlib/a.so\nlib/c.so\n"
                               "\n# never used\n# lib/unused.so\n# small\n# lib/link\n")
        self.assertEqual(self.tmpdump("profile", "-o", "-"), (0, text, ""))
        self.assert_error(self.tmpdump("profile", "-o", self.destination + "/none/p"), NOT_FOUND, "none/p")

    def test_names_that_a_line_cannot_hold(self):
        names = ["#a.so", "a\x01b.so", "g\u00fc.so"]
        daemon = self.daemon("list " + " ".join(names))
        for name in names:
            daemon.order(f"publish {name}")
        self.assertEqual(self.tmpdump("wait", *names)[0], 0)
        self.assertEqual(self.tmpdump("profile", "-o", "-")[1].splitlines()[1:],
                         ["# cannot be a line: #a.so", "# cannot be a line: a\\x01b.so", "g\u00fc.so"])
        self.assertNotIn("\x01", self.tmpdump("profile")[1])

    def test_nobody_asked(self):
        self.assert_error(self.tmpdump("profile"), NOT_FOUND, "no manifest at")
        daemon = self.daemon()
        self.assertEqual(self.tmpdump("profile")[:2], (0, "used         0 of 0, 0 B of 0 B\nnever used   0 of 0, 0 B of 0 B\n"))
        daemon.order("list a.so")
        self.assert_error(self.tmpdump("profile", "-o", "-"), NOT_FOUND, "nobody has asked", "TMPDUMP_WAIT=lazy")
        self.assertIn("never used   1 of 1, ", self.tmpdump("profile")[1])
        daemon.order("publish a.so")
        daemon.order("ready")
        self.assertEqual(self.tmpdump("wait")[0], 0)
        self.assertIn("somebody waited for everything", self.tmpdump("profile")[1])
        for arguments in ["--output", ""], ["a.so"], ["--dest", ""]:
            self.assert_error(self.tmpdump("profile", *arguments), USAGE)


class AnotherUserTest(Story):
    """.tmpdump is its owner's alone: whoever else asks hears so, whatever he asks."""

    ASKED = (["wait"], ["wait", "a.so"], ["status"], ["status", "--json"], ["status", "--follow"], ["profile"],
             ["profile", "--json"], ["profile", "-o", "-"])

    def setUp(self):
        super().setUp()
        folder = tempfile.mkdtemp(prefix="tmpdump-test-")
        self.addCleanup(shutil.rmtree, folder)
        os.chmod(folder, 0o755)
        self.program = shutil.copy(TMPDUMP, folder)  # where others find it

    def assert_told(self, user, *words):
        for arguments in self.ASKED:
            with self.subTest(arguments):
                become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", self.program]
                self.assert_error(self.tmpdump(*arguments, program=become), DENIED, *words)

    def test_who_is_not_the_daemons_user(self):
        if not other_users():
            print("left out, there are no other users here")
            return
        self.daemon("list a.so", "publish a.so", "ready")
        os.chmod(self.destination, 0o755)
        told = f"another user owns, or may write, the manifest at '{self.destination}': run this as the daemon's user, or remove its .tmpdump"
        self.assert_told(ANOTHER, told)  # root's, which would be believed if it could be read
        for name in ".tmpdump", ".tmpdump/manifest", ".tmpdump/lock":
            os.chown(f"{self.destination}/{name}", ANOTHER + 1, ANOTHER + 1)
        self.assert_told(ANOTHER, told)
        os.chmod(self.destination, 0o700)  # whose .tmpdump it is cannot be told
        self.assert_told(ANOTHER, self.destination, "Permission denied")


if __name__ == "__main__":
    TMPDUMP, DAEMON = sys.argv[1:3]
    unittest.main(argv=sys.argv[:1])
