# SPDX-License-Identifier: Apache-2.0
"""Planted secrets leave the process in signatures alone: not in a log, the trace, the manifest, an error, what Lambda is
told, a core; and once nothing is asked for any more they are not even in its own memory.
"""
import base64
import datetime
import hashlib
import hmac
import os
import random
import resource
import signal
import subprocess
import sys
import unittest
import urllib.request
from pathlib import Path

from extension_harness import archives, case, planted
from extension_harness.api import INIT_ERROR, NEXT
from extension_harness.case import ACCESS_KEY, DEADLINE_S, PPOLL, REGION, SECRET_KEY, TOKEN
from extension_harness.credentials import Credentials
from extension_harness.echo import Echo
from extension_harness.refuses import RefusesAtFirst

# No twelve bytes of them in a row stand anywhere else, as digits in their order do.
CONTAINER_TOKEN = "containerTOKENthatNobodyMaySee/q7Zk2Xw9Lr5"
TOKEN_IN_A_FILE = "fileTOKENthatNobodyMaySee/" + base64.b64encode(random.Random(8).randbytes(4500)).decode()
PRESIGNED = "presignedSIGNATUREthatNobodyMaySee-q7Zk2Xw9"
OLD_SECRET_KEY, OLD_TOKEN = "oldSecretKEYofBefore/Hs83kQz0Vb61mNt4Yc", "oldSessionTOKENofBefore/Jd7Wp29xRf5Lg80Tu" * 3
SECRETS = {"access key id": ACCESS_KEY, "secret access key": SECRET_KEY, "session token": TOKEN,
           "container's authorization token": CONTAINER_TOKEN, "authorization token in a file": TOKEN_IN_A_FILE,
           "presigned query": PRESIGNED, "old secret access key": OLD_SECRET_KEY, "old session token": OLD_TOKEN}
SECRETS = {name: text.encode() for name, text in SECRETS.items()} | planted.WORDS
NO_KEYS = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}


def derived(secret, *scope):
    """Each key on the way from the secret to the one that signs (SigV4's "calculate signature")."""
    key = b"AWS4" + secret.encode()
    for word in scope:
        key = hmac.digest(key, word.encode(), hashlib.sha256)
        yield word, key


def derived_today():
    """They sign all day, and tomorrow, should that come meanwhile."""
    now = datetime.datetime.now(datetime.timezone.utc)
    for day in (now, now + datetime.timedelta(days=1)):
        date = day.strftime("%Y%m%d")
        for name, secret in (("", SECRET_KEY), ("old ", OLD_SECRET_KEY)):
            for word, key in derived(secret, date, REGION, "s3", "aws4_request"):
                yield f"{name}signing key of {date} up to {word}", key


def has_dumped_core(pid):
    """WCOREDUMP of its wait status, once it has ended; it stays to be waited for."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT).si_code == os.CLD_DUMPED


def memory(pid):
    """(where, bytes) of all that the process has written to memory; of each empty page a single byte."""
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as file:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, rights, *rest = line.split()
            if "r" not in rights or "[v" in line or (rest[-1].startswith("/") and "w" not in rights):
                continue
            begin, end = (int(side, 16) for side in span.split("-"))
            try:
                file.seek(begin)
                yield rest[-1] if len(rest) == 4 else f"anonymous {span}", file.read(end - begin).replace(bytes(4096), bytes(1))
            except OSError:
                continue


LEAK = """#!/bin/sh
case $LEAK in
log) echo "of the key: ${AWS_SECRET_ACCESS_KEY#????}" ;;
words) echo "Signature=x" ;;
manifest) echo "$AWS_SESSION_TOKEN" >"$TMPDUMP_DEST/.tmpdump/manifest" ;;
trace) echo "$AWS_CONTAINER_AUTHORIZATION_TOKEN" >"$TMPDUMP_TRACE" ;;
uri) echo "$TMPDUMP_URI" >"$TMPDUMP_TRACE" ;;
esac
[ "$LEAK" = "no trace" ] || echo >>"$TMPDUMP_TRACE"
echo '{"event":"tmpdump.ready"}'
"""


class Leaky(case.ExtensionTest):
    """The story of a program that leaks; not a test by itself."""

    def story(self):
        program = self.folder / "leak"
        program.write_text(LEAK)
        program.chmod(0o755)
        (self.destination / ".tmpdump").mkdir()
        api = self.start_api()
        prefetch = self.start(api, None, program=program, LEAK=self.where, AWS_SESSION_TOKEN=TOKEN[::-1],
                              AWS_CONTAINER_AUTHORIZATION_TOKEN=CONTAINER_TOKEN, TMPDUMP_TRACE=str(self.folder / "trace"),
                              TMPDUMP_URI=f"https://a/b?X-Amz-Signature={PRESIGNED}")
        prefetch.log.wait_for("tmpdump.ready", DEADLINE_S)
        if self.where == "told":
            request = urllib.request.Request(f"http://{api.address}{INIT_ERROR}", data=CONTAINER_TOKEN[5:-5].encode())
            urllib.request.urlopen(request).close()
            api.requests.clear()


class HarnessTest(unittest.TestCase):
    """That nothing of the secrets stays is looked for after each run of each test, not only after those of this file."""

    def test_sees_a_leak(self):
        for where, seen in {"nowhere": None, "log": "its log.*AWS_SECRET_ACCESS_KEY", "words": "its log.*Signature",
                            "manifest": r"\.tmpdump/manifest.*AWS_SESSION_TOKEN", "trace": "/trace.*AWS_CONTAINER_AUTHORIZATION_TOKEN",
                            "uri": "/trace.*TMPDUMP_URI's X-Amz-Signature", "no trace": "it got ready, and there is no .*/trace",
                            "told": f"AWS_CONTAINER_AUTHORIZATION_TOKEN.*{INIT_ERROR} was told"}.items():
            with self.subTest(where):
                story, result = Leaky("story"), unittest.TestResult()
                story.where = where
                story.run(result)
                said = "".join(text for _, text in result.failures + result.errors)
                self.assertEqual(len(result.failures), seen is not None, said)
                self.assertEqual(result.errors, [])
                self.assertRegex(said, f"(?s){seen or ''}")
                self.assertEqual(planted.seen(SECRETS, said.encode()), [])


class SecretsTest(case.ExtensionTest):
    def setUp(self):
        super().setUp()
        archives.write(self.archive, archives.entries(31, files=20))
        self.api = self.start_api()
        self.derived = dict(derived_today())

    def serve_keys(self, *tokens, **options):
        credentials = Credentials(*tokens, **options)
        self.addCleanup(credentials.close)
        return credentials, {**NO_KEYS, "AWS_CONTAINER_CREDENTIALS_FULL_URI": credentials.uri,
                             "AWS_CONTAINER_AUTHORIZATION_TOKEN": CONTAINER_TOKEN}

    def stories(self):
        """(name, its end, endpoint, settings) of each way in which it comes to its keys, to others, and to none that are good."""
        credentials, container = self.serve_keys(TOKEN)
        authority = self.folder / "authority.pem"
        plain = self.start_origin(session_token=TOKEN).endpoint
        secure = self.start_origin(session_token=TOKEN, tls=True, ca_file=authority).endpoint
        public = self.start_origin(signed=False).endpoint
        presigned = f"/{case.BUCKET}/function.zip?response-expires={PRESIGNED}"
        yield "environment", "ready", plain, {"AWS_SESSION_TOKEN": TOKEN}
        yield "environment, TLS", "ready", secure, {"AWS_SESSION_TOKEN": TOKEN, "AWS_CA_BUNDLE": str(authority)}
        yield "container", "ready", plain, container
        self.assertEqual(set(credentials.asked), {CONTAINER_TOKEN})
        _, chunked = self.serve_keys(TOKEN, chunked=True)
        yield "container, chunked", "ready", plain, chunked
        credentials, in_a_file = self.serve_keys(TOKEN)
        file = self.folder / "token"
        file.write_text(TOKEN_IN_A_FILE)
        yield ("container, token in a file", "ready", plain,
               in_a_file | {"AWS_CONTAINER_AUTHORIZATION_TOKEN": None, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(file)})
        self.assertEqual(set(credentials.asked), {TOKEN_IN_A_FILE})
        # S3 refuses the old ones; or they expire before it has answered the first time.
        late = self.start_origin(signed=False, first_byte_ms=1300).endpoint
        for what, origin, options in (("refused", plain, {}), ("expired", late, {"lives_s": 1})):
            credentials, replaced = self.serve_keys(OLD_TOKEN, TOKEN, secrets=(OLD_SECRET_KEY, SECRET_KEY), **options)
            yield f"replaced, {what}", "ready", origin, replaced | {"TMPDUMP_CONNECTIONS": "1"}
            self.assertEqual(len(credentials.asked), 2)
        refusing = RefusesAtFirst(secure, 8)  # each request is signed before there is a connection for it
        self.addCleanup(refusing.close)
        yield ("no connection at first", "ready", refusing.endpoint,
               {"AWS_SESSION_TOKEN": TOKEN, "AWS_CA_BUNDLE": str(authority)})
        yield "refused", "missing", plain, {"AWS_SESSION_TOKEN": TOKEN, "AWS_ACCESS_KEY_ID": ACCESS_KEY[::-1]}
        yield "presigned", "ready", None, {"AWS_SESSION_TOKEN": TOKEN, "TMPDUMP_URI": public + presigned}
        yield "presigned, refused", "failed", None, {
            "AWS_SESSION_TOKEN": TOKEN, "TMPDUMP_URI": f"{plain}{presigned}&X-Amz-Signature={PRESIGNED}"}

    def assert_none_in(self, where, data, but=(), step=1):
        secrets = {name: secret for name, secret in (SECRETS | self.derived).items() if name not in but}
        self.assertEqual(planted.seen(secrets, data, step), [], where)  # whose values are not to be printed

    def test_not_in_what_it_writes_and_not_in_its_memory_afterwards(self):
        for story, end, endpoint, variables in self.stories():
            with self.subTest(story):
                self.destination = self.folder / story.replace(" ", "-")
                self.destination.mkdir()
                self.api.requests.clear()
                trace = self.destination / "trace.json"
                prefetch = self.start(self.api, endpoint, TMPDUMP_TRACE=str(trace), TMPDUMP_METRICS="emf", **variables)
                said = prefetch.log.wait_for(r"tmpdump\.(ready|missing|failed)", DEADLINE_S).text
                self.assertIn(f'"tmpdump.{end}"', said)
                if end != "failed":
                    self.api.wait_for(NEXT)
                    case.until(lambda p=prefetch: (p.system_call() or [None])[0] == PPOLL, "at rest")
                    looked = set()
                    for where, data in memory(prefetch.process.pid):
                        # Of these two the program's own text has the words; an id is no secret by itself.
                        self.assert_none_in(f"memory, {where}", data, (*planted.WORDS, "access key id"), step=4)
                        looked.add(where)
                    self.assertLessEqual({"[heap]", "[stack]"}, looked)
                    environment = Path(f"/proc/{prefetch.process.pid}/environ").read_bytes()
                    self.assertIn(b"TMPDUMP_DEST=", environment)
                    self.assert_none_in("its environment", environment)
                    prefetch.terminate()
                prefetch.status()
                self.assert_none_in("log", prefetch.log.text().encode())
                for request in self.api.requests:
                    self.assert_none_in(f"what {request.path} was told", repr(request).encode())
                for folder, _, files in os.walk(self.destination):
                    for name in files:
                        path = Path(folder, name)
                        self.assert_none_in(path, path.read_bytes())
                self.assertEqual(trace.exists(), end == "ready")

    def test_what_is_looked_for_is_what_there_would_be(self):
        """AWS's own example of a derived key; and while it works the secret is found where it is not afterwards."""
        *_, (_, key) = derived("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20120215", "us-east-1", "iam", "aws4_request")
        self.assertEqual(len(self.derived), 16)
        self.assertEqual(key.hex(), "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d")
        prefetch = self.start_in_the_middle()
        found = {name for _, data in memory(prefetch.process.pid) for name, secret in SECRETS.items() if secret in data}
        self.assertLessEqual({"secret access key", "session token"}, found)

    def test_not_in_what_is_told_of_a_signature_that_is_refused(self):
        """S3 repeats what was signed and how in the elements of its answer; others do in the message, which people are shown."""
        told = "signed by {key}: {signature} of {request}"
        for story, echo in (("S3's", Echo()), ("in the message", Echo(told)), ("in a message of another kind", Echo(told, "AccessDenied")),
                            ("in a code", Echo(code="{signature}")), ("in the token's message", Echo("{token}", "InvalidToken", 400)),
                            ("of a presigned one", Echo(told))):
            self.addCleanup(echo.close)
            source = f"s3://{case.BUCKET}/function.zip"
            if story == "of a presigned one":
                source = f"{echo.endpoint}/function.zip?X-Amz-Signature={PRESIGNED}"
            with self.subTest(story):
                self.destination = self.folder / story
                self.destination.mkdir()
                self.api.requests.clear()
                prefetch = self.start(self.api, echo.endpoint, AWS_SESSION_TOKEN=TOKEN, TMPDUMP_ON_MISSING="fail", TMPDUMP_URI=source)
                prefetch.log.wait_for(r"tmpdump\.failed", DEADLINE_S)
                self.assertEqual(prefetch.status(), 1)
                waited = self.wait_beside().result()
                self.assertEqual(waited[0], case.FAILED)
                said = subprocess.run([case.build / "bin/tmpdump", "fetch", source, "--dest", self.folder],
                                      env=self.settings(self.api, echo.endpoint, AWS_SESSION_TOKEN=TOKEN), capture_output=True,
                                      timeout=DEADLINE_S, check=False).stderr
                self.assertIn(b"tmpdump: error: ", said)
                self.assertGreaterEqual(len(echo.signatures), 2)
                secrets = SECRETS | {f"signature {number}": text.encode() for number, text in enumerate(echo.signatures) if text != "none"}
                for where, data in (("log", prefetch.log.text().encode()), ("reason", waited[1].encode()), ("error", said),
                                    ("report", self.api.wait_for(INIT_ERROR).body),
                                    *planted.files(self.destination)):
                    self.assertEqual(planted.seen(secrets, data), [], where)

    def test_not_in_what_the_command_line_says(self):
        authority = self.folder / "authority.pem"
        secure = self.start_origin(session_token=TOKEN, tls=True, ca_file=authority).endpoint
        public = self.start_origin(signed=False).endpoint
        keys = {"PATH": os.environ["PATH"], "AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
                "AWS_SESSION_TOKEN": TOKEN, "AWS_REGION": REGION, "AWS_ENDPOINT_URL_S3": secure,
                "AWS_CA_BUNDLE": str(authority), "TMPDIR": str(self.folder), "TMPDUMP_LOG": "debug"}
        good, gone = f"s3://{case.BUCKET}/function.zip", f"s3://{case.BUCKET}/other.zip"
        presigned = f"{public}/{case.BUCKET}/function.zip?response-expires={PRESIGNED}"
        denied = f"{secure}/{case.BUCKET}/function.zip?X-Amz-Signature={PRESIGNED}"
        trace = self.folder / "trace.json"
        fetch = ("fetch", "--dest", self.destination, "--trace", trace, "--progress")
        packed, copy = self.folder / "packed.zip", self.folder / "copy.zip"
        for status, source, *command in (
                *((0, source, *words) for source in (good, presigned)
                  for words in (fetch, ("fetch", "--list"), ("ls", "--json"), ("ls",), ("verify",))),
                *((3, gone, *words) for words in (fetch, ("ls",), ("verify",))),
                *((1, denied, *words) for words in (fetch, ("ls",), ("verify",))),
                # No urls are for them; the keys are there all the same.
                (0, self.archive, "pack", "-o", packed), (0, packed, "refine", "-o", copy, "-x", "*1*"),
                *((3, source, *words) for source in (good, denied)
                  for words in (("pack", "-o", packed), ("refine", "-n"), ("strip-jar",)))):
            with self.subTest(command[0], source=str(source).partition("?")[0], status=status):
                said = subprocess.run([case.build / "bin/tmpdump", *command, source], env=keys, capture_output=True,
                                      stdin=subprocess.DEVNULL, timeout=DEADLINE_S)
                self.assertEqual(said.returncode, status, said.stderr)
                self.assertNotEqual(said.stdout + said.stderr, b"")
                self.assert_none_in("output", said.stdout)
                self.assert_none_in("error", said.stderr)
                if not status:
                    self.assertEqual(trace.exists(), tuple(command) == fetch)
                if trace.exists():
                    self.assert_none_in("trace", trace.read_bytes())
                    trace.unlink()

    def start_in_the_middle(self):
        """One that has keys and works: its archive takes minutes."""
        origin = self.start_origin(session_token=TOKEN, total_mbps=1)
        prefetch = self.start(self.api, origin.endpoint, AWS_SESSION_TOKEN=TOKEN)
        prefetch.log.wait_for("tmpdump.registered", DEADLINE_S)
        return prefetch

    def cores(self):
        """What lies where the kernel puts a core of who works here; None: it gives them to a program."""
        pattern = Path("/proc/sys/kernel/core_pattern").read_text().strip()
        return None if pattern.startswith("|") else set(Path(os.getcwd(), pattern).parent.glob("*"))

    def let_cores_be_written(self):
        """In a folder of this test, by this process and those that it starts; a crash shows it."""
        working = self.folder / "working"
        working.mkdir()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(working)
        usual = resource.getrlimit(resource.RLIMIT_CORE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_CORE, usual)
        try:
            resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        except (ValueError, PermissionError):  # not root
            resource.setrlimit(resource.RLIMIT_CORE, (usual[1], usual[1]))
        before = self.cores()
        control = subprocess.Popen([sys.executable, "-c", "import os; os.abort()"], stdin=subprocess.DEVNULL)
        written = has_dumped_core(control.pid)
        self.assertEqual(control.wait(), -signal.SIGABRT)
        if not written and (before is None or resource.getrlimit(resource.RLIMIT_CORE)[1] == 0):
            print("nobody leaves a core here: the limit and what /proc tells have to do")
            return
        self.assertTrue(written, "a program that crashed here left no core, so none of ours says nothing")
        if before is None:
            return  # a program got it: of where it put it the kernel knows nothing
        found = self.cores() - before
        self.assertEqual(len(found), 1, "the core of a program that crashed here is not found")
        found.pop().unlink()

    def test_no_core_and_no_way_in(self):
        self.let_cores_be_written()
        before = self.cores()
        prefetch = self.start_in_the_middle()
        pid = prefetch.process.pid
        limits = Path(f"/proc/{pid}/limits").read_text()
        self.assertRegex(limits, r"Max core file size\s+0\s+0\s")
        self.assertEqual(prefetch.proc("NoNewPrivs"), 1)
        # Not dumpable: for others of its user its memory belongs to root.
        self.assertEqual(os.stat(f"/proc/{pid}/mem").st_uid, 0)
        if os.geteuid() == 0:
            self.assert_closed_to_its_own_user(pid)
        os.kill(pid, signal.SIGSEGV)
        self.assertFalse(has_dumped_core(pid))
        self.assertEqual(prefetch.status(), -signal.SIGSEGV, prefetch.log.text())
        self.assertEqual(self.cores(), before)

    def assert_closed_to_its_own_user(self, _):
        """As in Lambda, where the function has the extension's user."""
        user = 54321
        destination = self.folder / "of another"
        destination.mkdir()
        self.folder.chmod(0o755)
        os.chown(destination, user, user)
        program = self.folder / "tmpdump-prefetch"
        program.write_bytes((case.build / "bin" / "tmpdump-prefetch").read_bytes())
        program.chmod(0o755)
        environment = self.settings(self.api, self.start_origin(session_token=TOKEN, total_mbps=1).endpoint,
                                    AWS_SESSION_TOKEN=TOKEN, TMPDUMP_DEST=str(destination))
        other = subprocess.Popen([program], env=environment, user=user, group=user, extra_groups=[],
                                 stdout=subprocess.DEVNULL)
        self.addCleanup(other.wait)
        self.addCleanup(other.kill)
        self.api.wait_for("/2020-01-01/extension/register", count=2)
        for name in ("mem", "environ", "maps"):
            tried = subprocess.run(["head", "-c1", f"/proc/{other.pid}/{name}"], user=user, group=user, extra_groups=[],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            self.assertIn(b"Permission denied", tried.stderr, name)
        self.assertIsNone(other.poll())  # it lived through it

    def test_what_is_at_the_destination_is_nobody_elses_to_write(self):
        old = os.umask(0)
        self.addCleanup(os.umask, old)
        bold = {f"bold/{kind}{mode:o}": (kind, mode, b"x" if kind == "file" else b"") for kind in ("file", "folder")
                for mode in (0o666, 0o777, 0o2777, 0o1777, 0o4777)}
        archives.write(self.archive, archives.entries(31, files=20) | {"bold": ("folder", 0o2777, b""), **bold})
        origin = self.start_origin()
        prefetch = self.start(self.api, origin.endpoint)
        prefetch.log.wait_for("tmpdump.ready", DEADLINE_S)
        seen = []
        for folder, folders, files in os.walk(self.destination):
            for name in [*folders, *files]:
                status = os.lstat(os.path.join(folder, name))
                seen.append(name)
                if os.path.islink(os.path.join(folder, name)):
                    continue
                self.assertEqual(status.st_mode & 0o7022, 0, f"{folder}/{name}")
        self.assertLessEqual({"manifest", *(path.removeprefix("bold/") for path in bold)}, set(seen))
        own = self.destination / ".tmpdump"
        self.assertEqual([oct((own / name).stat().st_mode & 0o777) for name in ("manifest", "lock", ".")],
                         ["0o644", "0o644", "0o700"])


if __name__ == "__main__":
    case.main()
