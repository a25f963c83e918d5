# SPDX-License-Identifier: Apache-2.0
"""`tmpdump fetch` as a person and a script use it: its sources, its options, what it says, and its exit statuses.

cli_fetch_test.py TMPDUMP TMPDUMP_ORIGIN
"""
import fcntl
import io
import json
import os
import pty
import random
import re
import shutil
import signal
import stat
import struct
import subprocess
import sys
import tempfile
import termios
import unittest
import zipfile
from pathlib import Path

try:
    import botocore.session
    from botocore.config import Config
except ImportError as error:
    sys.exit(
        f"cli_fetch_test: {error}, with {sys.executable}\n"
        'Configure with a Python that has tests/requirements.txt: -DTMPDUMP_PYTHON="$(tools/python-venv)"'
    )

sys.path.insert(0, str(Path(__file__).resolve().parent / "e2e"))
from emulator.gated_origin import GatedOrigin  # noqa: E402
from emulator.origin import ACCESS_KEY, BUCKET, REGION, SECRET_KEY, Origin  # noqa: E402
from extension_harness import archives  # noqa: E402

FAILED, USAGE, NOT_FOUND, BAD_ARCHIVE, DENIED = 1, 2, 3, 4, 5
KEYS = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY, "AWS_REGION": REGION}
S3 = f"s3://{BUCKET}/a.zip"
MOST_S = 120  # only so that a defect does not hang the test

CONTENT = {
    "lib": ("folder", 0o755, b""),
    "lib/a.so": ("file", 0o755, b"deflates well, " * 10_000),
    "lib/b.so": ("file", 0o644, random.Random(1).randbytes(1_000_000)),
    "lib/link.so": ("link", 0o777, b"a.so"),
    "notes.txt": ("file", 0o600, b"read me"),
}
SIZE = r"\d+(?:\.\d)? (?:[kMG]?B)"
SUMMARY = (rf"{{source}}: {SIZE} in (?P<files>\d+) files from {SIZE} in \d+\.\d{{{{3}}}} s, {SIZE}/s, (?P<requests>\d+) requests, "
           r"(?P<retries>\d+) retries, (?P<hedges>\d+) hedges, peak memory (?P<memory>\d+\.\d) MiB\n")
PROGRESS = rf"\[#*\.*\] [ \d]{{2}}\d% {SIZE} of {SIZE}  \d/\d files  {SIZE}/s(?:  ETA .* s)?"


def read_to_end(descriptor):
    """What a terminal shows, piece by piece."""
    while True:
        try:
            yield os.read(descriptor, 65536).decode()
        except OSError:  # EIO: the other side has ended
            return


class Story(unittest.TestCase):
    def setUp(self):
        folder = tempfile.mkdtemp(prefix="tmpdump-test-")
        self.addCleanup(shutil.rmtree, folder)
        self.folder, self.destination = Path(folder), Path(folder) / "dest"
        (self.folder / BUCKET).mkdir()
        self.archive = self.folder / BUCKET / "a.zip"
        archives.write(self.archive, CONTENT)

    def origin(self, **options):
        origin = Origin(ORIGIN, self.folder, **options)
        self.addCleanup(origin.close)
        return origin

    def begin(self, *arguments, out=subprocess.PIPE, error=subprocess.PIPE, **variables):
        """Runs on while the test goes on."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TMPDUMP_"))}
        process = subprocess.Popen([TMPDUMP, "fetch", *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=out,
                                   stderr=error, text=True, env=environment | {"TMPDUMP_DEST": str(self.destination)} | variables)
        self.addCleanup(self.stop, process)
        return process

    def stop(self, process):
        """However the test ended."""
        process.kill()
        process.communicate()

    def end(self, process):
        out, error = process.communicate(timeout=MOST_S)
        return process.returncode, out, error

    def fetch(self, *arguments, **variables):
        return self.end(self.begin(*arguments, **variables))

    def assert_fetched(self, outcome, source=S3, names=tuple(CONTENT)):
        """The summary's figures by name. What lasts less than a second shows no progress, but a busy machine may take longer."""
        code, out, error = outcome
        self.assertEqual(code, 0, error)
        for line in error.splitlines():
            self.assertRegex(line, rf"\A({PROGRESS}|{SIZE}  {SIZE}/s)\Z")
        summary = re.fullmatch(SUMMARY.format(source=re.escape(str(source))), out)
        self.assertIsNotNone(summary, out)
        self.assert_there(names)
        self.assertEqual(int(summary["files"]), sum(CONTENT[name][0] != "folder" for name in names))
        return {name: float(value) for name, value in summary.groupdict().items()}

    def assert_there(self, names=tuple(CONTENT)):
        wanted = {name: CONTENT[name] for name in names}
        self.assertEqual(archives.difference(archives.found(self.destination), wanted), "")
        shutil.rmtree(self.destination)  # so that the next fetch cannot live on this one's files

    def assert_error(self, outcome, status, *words):
        code, out, error = outcome
        self.assertEqual((code, out), (status, ""), error)
        lines = [line for line in error.splitlines(keepends=True) if not re.match(rf"{PROGRESS}|{SIZE}  {SIZE}/s", line)]
        self.assertRegex("".join(lines), r"\Atmpdump: error: [^\n]*\n\Z")
        for word in words:
            self.assertIn(word, error)
        self.assertEqual(archives.found(self.destination), {})


class SourceTest(Story):
    def test_s3(self):
        origin = self.origin()
        summary = self.assert_fetched(self.fetch(S3, "--endpoint", origin.endpoint, **KEYS))
        self.assertGreaterEqual(summary["requests"], 2)  # the tail does not hold it all
        self.assertGreater(summary["memory"], 1)
        self.assert_fetched(self.fetch(S3, AWS_ENDPOINT_URL_S3=origin.endpoint, **KEYS))
        there = self.folder / "elsewhere"
        self.assertEqual(self.fetch(S3, "-d", there, AWS_ENDPOINT_URL_S3=origin.endpoint, **KEYS)[0], 0)
        self.assertTrue((there / "notes.txt").is_file())
        self.assertFalse(self.destination.exists())

    def test_a_public_object(self):
        origin = self.origin(signed=False)
        url = f"{origin.endpoint}/{BUCKET}/a.zip"
        self.assert_fetched(self.fetch(url), url)
        self.assert_fetched(self.fetch(S3, "--no-sign-request", "--endpoint", origin.endpoint))

    def test_a_presigned_url(self):
        origin = self.origin()
        client = botocore.session.get_session().create_client(
            "s3", region_name=REGION, endpoint_url=origin.endpoint, aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY,
            config=Config(signature_version="s3v4", s3={"addressing_style": "path"}))
        presigned = client.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "a.zip"}, ExpiresIn=600)
        url = f"{origin.endpoint}/{BUCKET}/a.zip"
        self.assertTrue(presigned.startswith(url + "?"), presigned)
        self.assert_fetched(self.fetch(presigned), url)  # its query opens the object, so nobody is told it
        broken = presigned[:-1] + ("0" if presigned[-1] != "0" else "1")
        for refused in url, broken:
            outcome = self.fetch(refused)
            self.assert_error(outcome, DENIED, url + ": access denied", "make a new one")
            self.assertNotIn("X-Amz", outcome[2])

    def test_a_local_file(self):
        summary = self.assert_fetched(self.fetch(self.archive), self.archive)
        self.assertEqual((summary["retries"], summary["hedges"]), (0, 0))


class OptionsTest(Story):
    def test_a_list_is_all_that_is_fetched(self):
        origin = self.origin()
        for arguments in [self.archive], [S3, "--endpoint", origin.endpoint]:
            code, out, error = self.fetch("--list", *arguments, **KEYS)
            self.assertEqual((code, error), (0, ""))
            heading, *lines, total = out.splitlines()
            self.assertEqual(heading.split(), ["size", "packed", "method", "name"])
            with zipfile.ZipFile(self.archive) as archive:
                listed = [(str(info.file_size), str(info.compress_size), "deflate" if info.compress_type else "stored",
                           info.filename + ("@" if stat.S_ISLNK(info.external_attr >> 16) else "")) for info in archive.infolist()]
                sizes = sum(info.file_size for info in archive.infolist()), sum(info.compress_size for info in archive.infolist())
            self.assertEqual([tuple(line.split()) for line in lines], listed)
            self.assertEqual(total.split(), [*map(str, sizes), str(len(CONTENT)), "entries"])
            column = heading.index("name")
            self.assertEqual([line[column:] for line in lines], [name for *_, name in listed])
            self.assertFalse(self.destination.exists())

    def test_a_list_of_what_the_globs_leave(self):
        code, out, _ = self.fetch("-l", self.archive, "-i", "lib/*", "-x", "*link*")
        self.assertEqual((code, re.findall(r"(?:stored|deflate)  (.*)\n", out)), (0, ["lib/a.so", "lib/b.so"]))
        self.assertRegex(out, r" 2 entries\n\Z")

    def test_a_list_that_cannot_be_written(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            code, _, error = self.end(self.begin("--list", self.archive, out=full))
        self.assertEqual((code, error), (FAILED, "tmpdump: error: write the list: No space left on device\n"))

    def test_globs(self):
        origin = self.origin()
        for globs, names in ((["-i", "*.so"], ["lib", "lib/a.so", "lib/b.so", "lib/link.so"]),
                             (["-i", "notes*", "-i", "*/b.so"], ["lib", "lib/b.so", "notes.txt"]),
                             (["-x", "lib*"], ["notes.txt"]),
                             (["--include", "*.so", "--exclude", "*b*", "--exclude", "lib/a.so"], None)):
            with self.subTest(globs=globs):
                outcome = self.fetch(S3, "--endpoint", origin.endpoint, *globs, **KEYS)
                if names is None:
                    self.assertEqual(outcome[0], 0, outcome[2])
                    self.assertEqual(archives.found(self.destination), {})
                else:
                    self.assert_fetched(outcome, names=names)

    def test_quiet(self):
        self.assertEqual(self.fetch(self.archive, "--quiet"), (0, "", ""))
        self.assert_there()
        self.assertEqual(self.fetch(self.archive, "-q", "--progress")[:2], (0, ""))
        self.assert_there()

    def trace(self, outcome, path):
        self.assert_fetched(outcome)
        events = json.loads(path.read_text())["traceEvents"]
        # Microseconds from its start, not from the machine's.
        self.assertLess(max(event["ts"] + event.get("dur", 0) for event in events if event["ph"] in "Xi"), 60e6)
        return events, {(event.get("cat"), event["name"]) for event in events if event["ph"] in "Xi"}

    def test_a_trace(self):
        path = self.folder / "trace.json"
        origin = self.origin()
        events, kinds = self.trace(self.fetch(S3, "--endpoint", origin.endpoint, "--trace", path, **KEYS), path)
        groups = {event["args"]["name"] for event in events if event["name"] == "process_name"}
        self.assertEqual(groups, {"connections", "ranges", "decoders", "files"})
        self.assertLessEqual({("connections", "connect"), ("connections", "first byte"), ("connections", "body"), ("ranges", "tail"),
                              ("ranges", "range"), ("decoders", "lib/b.so"), ("files", "lib/b.so")}, kinds)
        self.assertNotIn(SECRET_KEY, path.read_text())
        self.assertNotIn("Signature", path.read_text())

    def test_a_trace_without_what_was_not_asked_for_in_the_end(self):
        path = self.folder / "trace.json"
        origin = self.origin()
        # Ranges wait for a connection when the directory tells that the archive is there already.
        self.trace(self.fetch(S3, "--endpoint", origin.endpoint, "--connections", "2", "--trace", path, **KEYS), path)

    def test_a_trace_shows_a_retry(self):
        path = self.folder / "trace.json"
        origin = self.origin()  # sends who signs for another region to its own
        outcome = self.fetch(S3, "--endpoint", origin.endpoint, "--connections", "1", "--trace", path,
                             **KEYS | {"AWS_REGION": "eu-central-1"})
        events, kinds = self.trace(outcome, path)
        self.assertIn(("connections", "refused"), kinds)
        retries = [event["args"]["reason"] for event in events if event["name"] == "retry"]
        self.assertIn("301", retries[0])
        self.assertIn(f" {len(retries)} retries, ", outcome[1])

    def test_a_trace_shows_a_hedge(self):
        path = self.folder / "trace.json"
        # Every other answer comes after an hour: the second request is a hedge's to save.
        origin = self.origin(slow_first_byte_ms=3_600_000, slow_every=2)
        outcome = self.fetch(S3, "--endpoint", origin.endpoint, "--connections", "1", "--trace", path, **KEYS)
        _, kinds = self.trace(outcome, path)
        self.assertIn(("ranges", "hedge"), kinds)
        self.assertNotIn(" 0 hedges", outcome[1])


class ProgressTest(Story):
    """Of an archive whose second file does not come whole before the test lets it."""

    def setUp(self):
        super().setUp()
        self.content = {"first": random.Random(2).randbytes(1_000), "second": random.Random(3).randbytes(1_000_000)}
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as out:
            for name, content in self.content.items():
                out.writestr(name, content)
        self.origin = GatedOrigin(archive.getvalue())
        self.addCleanup(self.origin.close)
        self.gate = self.origin.hold(500_000, 800_000)
        self.url = self.origin.endpoint + "/a.zip"

    def until_first(self, lines):
        """What was shown until the first file was there."""
        seen = []
        for line in lines:
            seen.append(line)
            if "1/2 files" in line:
                return seen
        self.fail(f"never: {seen}")

    def assert_whole(self):
        for name, content in self.content.items():
            self.assertEqual((self.destination / name).read_bytes(), content)

    def test_a_pipe_gets_plain_lines(self):
        for options, summary in ([], SUMMARY.format(source=re.escape(self.url))), (["--quiet", "--progress"], ""):
            self.gate.clear()
            process = self.begin(self.url, *options)
            seen = self.until_first(process.stderr)
            self.gate.set()
            code, out, rest = self.end(process)
            self.assertEqual(code, 0)
            self.assertRegex(out, rf"\A{summary}\Z")
            for line in [*seen, *rest.splitlines(keepends=True)]:
                self.assertRegex(line, rf"\A(?:{PROGRESS}|{SIZE}  {SIZE}/s)\n\Z")
            self.assertRegex(seen[-1], r"\A\[#+\.+\] ")
            self.assert_whole()

    def test_a_terminal_gets_a_bar_in_place(self):
        ours, its = pty.openpty()
        self.addCleanup(os.close, ours)
        width = 90
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
        process = self.begin(self.url, error=its)
        os.close(its)
        pieces = read_to_end(ours)
        seen = "".join(self.until_first(pieces))
        self.gate.set()
        seen += "".join(pieces)
        code, out, _ = self.end(process)
        self.assertEqual(code, 0)
        self.assertRegex(out, SUMMARY.format(source=re.escape(self.url)))
        self.assertNotIn("\n", seen)
        *drawn, cleared, after = re.sub(r"\A\r", "", seen).split("\x1b[K")
        self.assertEqual((cleared, after), ("\r", ""))  # the bar is off the terminal at the end
        self.assertRegex(drawn[-1], rf"\A\r?{PROGRESS}\Z")
        for line in drawn:
            self.assertRegex(line, rf"\A\r?(?:{PROGRESS}|{SIZE}  {SIZE}/s)\Z")
            self.assertLess(len(line.strip("\r")), width)  # in the last column a terminal might go on to the next line
        self.assert_whole()

    def test_an_interruption_ends_it_and_keeps_what_is_whole(self):
        for number in signal.SIGINT, signal.SIGTERM:
            process = self.begin(self.url)
            self.until_first(process.stderr)
            process.send_signal(number)
            code, out, rest = self.end(process)
            self.assertEqual((code, out), (FAILED, ""))
            self.assertRegex(rest, r"(?:\A|\n)tmpdump: error: interrupted; what was complete stays\n\Z")
            self.assertEqual(os.listdir(self.destination), ["first"])
            self.assertEqual((self.destination / "first").read_bytes(), self.content["first"])


class ErrorTest(Story):
    """One line each: what failed, on what, what to do."""

    def test_failed(self):
        size = sum(len(content) for _, _, content in CONTENT.values())
        for source in self.archive, S3:
            endpoint = self.origin().endpoint
            fetch = [source, "--endpoint", endpoint, "--max-size"]
            self.assert_error(self.fetch(*fetch, size - 1, **KEYS), FAILED, str(source), f"unpacks to {size} bytes",
                              f"more than --max-size {size - 1}")
            self.assert_fetched(self.fetch(*fetch, size, **KEYS), source)
        blocked = self.folder / "file"
        blocked.touch()
        self.assert_error(self.fetch(self.archive, "-d", blocked / "dest"), FAILED, f"{blocked}/dest", "Not a directory")
        self.assert_error(self.fetch(self.archive, "--trace", blocked / "t.json", "-i", "none"), FAILED,
                          f"write trace '{blocked}/t.json': Not a directory")

    def test_the_fetch_failed_and_its_trace_too(self):
        blocked = self.folder / "file"
        blocked.touch()
        outcome = self.fetch(f"s3://{BUCKET}/b.zip", "--endpoint", self.origin().endpoint, "--trace", blocked / "t.json", **KEYS)
        self.assert_error(outcome, NOT_FOUND, f"s3://{BUCKET}/b.zip: no such object")

    def test_no_thread_to_decode(self):
        limited = ["prlimit", "--nproc=1:1"]
        if os.geteuid() == 0:  # whom no limit holds: as a user who has no other process
            limited += ["setpriv", "--reuid", "54321", "--clear-groups"]
        program = shutil.copy(TMPDUMP, self.folder / "program")  # the build may lie where only root goes
        self.folder.chmod(0o777)
        # LeakSanitizer looks by a thread of its own.
        options = f"{os.environ.get('ASAN_OPTIONS', '')}:detect_leaks=0"
        done = subprocess.run([*limited, program, "fetch", self.archive, "-d", self.destination], capture_output=True, text=True,
                              env={**os.environ, "ASAN_OPTIONS": options}, timeout=MOST_S)
        self.assert_error((done.returncode, done.stdout, done.stderr), FAILED, "start a thread that decodes", "too many processes")

    def test_usage(self):
        for arguments, words in (
                ([], ["TMPDUMP_URI"]),
                (["ftp://host/a.zip"], ["ftp://host/a.zip"]),
                (["s3://a"], ["s3://a"]),
                ([self.folder], [f"'{self.folder}' is not a regular file", "name a zip archive"]),
                ([S3, "--connections", "0"], ["--connections", "1 to 64"]),
                ([S3, "--connections", "65"], ["--connections", "1 to 64"]),
                ([S3, "--connections", "many"], ["--connections", "--help"]),
                ([S3, "--max-size", "much"], ["'much' is not a size such as 512M or 2GiB", "--help"]),
                ([S3, "--max-entries", "0"], ["--max-entries"]),
                ([S3, "--endpoint", "nowhere"], ["--endpoint", "nowhere"]),
                ([S3, "--nonsense"], ["--nonsense", "--help"]),
                ([S3, "another"], ["another", "--help"])):
            with self.subTest(arguments=arguments):
                self.assert_error(self.fetch(*arguments, **KEYS), USAGE, *words)

    def test_not_found(self):
        endpoint = ["--endpoint", self.origin().endpoint]
        self.assert_error(self.fetch(f"s3://{BUCKET}/b.zip", *endpoint, **KEYS), NOT_FOUND, f"s3://{BUCKET}/b.zip: no such object",
                          "upload the archive")
        self.assert_error(self.fetch("s3://nowhere/a.zip", *endpoint, **KEYS), NOT_FOUND, "s3://nowhere/a.zip: no such bucket",
                          "check the bucket's name")
        self.assert_error(self.fetch("--list", f"s3://{BUCKET}/b.zip", *endpoint, **KEYS), NOT_FOUND, "no such object")
        self.assert_error(self.fetch(self.folder / "b.zip"), NOT_FOUND, f"open '{self.folder}/b.zip': No such file or directory")

    def test_a_bad_archive(self):
        endpoint = ["--endpoint", self.origin().endpoint]
        for source in self.archive, S3:
            self.assert_error(self.fetch(source, *endpoint, "--max-entries", "4", **KEYS), BAD_ARCHIVE, str(source), "5 entries",
                              "more than the 4 that are allowed")
        for content in b"", b"<html>not here</html>", random.Random(4).randbytes(3_000_000):
            self.archive.write_bytes(content)
            for source in self.archive, S3:
                with self.subTest(source=source, size=len(content)):
                    self.assert_error(self.fetch(source, *endpoint, **KEYS), BAD_ARCHIVE, str(source), "zip")
                    self.assert_error(self.fetch("--list", source, *endpoint, **KEYS), BAD_ARCHIVE, str(source), "zip")

    def test_denied(self):
        endpoint = ["--endpoint", self.origin().endpoint]
        self.assert_error(self.fetch(S3, *endpoint), DENIED, "AWS_ACCESS_KEY_ID")
        self.assert_error(self.fetch(S3, *endpoint, "--no-sign-request"), DENIED, S3 + ": access denied",
                          "not public: sign the request")
        outcome = self.fetch(S3, *endpoint, **KEYS | {"AWS_SECRET_ACCESS_KEY": "not/the/secret"})
        self.assert_error(outcome, DENIED, S3 + ": the credentials were refused", "check AWS_ACCESS_KEY_ID")
        self.assertNotIn("not/the/secret", outcome[2])


if __name__ == "__main__":
    TMPDUMP, ORIGIN = sys.argv[1:3]
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
