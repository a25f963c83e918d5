# SPDX-License-Identifier: Apache-2.0
"""What tmpdump-prefetch promises Lambda, the function's log, and those who wait for files."""
import json
import random
import re
import signal
import socket
import statistics
import time

from extension_harness import archives, case
from extension_harness.api import EXIT_ERROR, INIT_ERROR, NEXT, REGISTER, REGISTERED, Answer
from extension_harness.case import DAEMON_DIED, DEADLINE_S, FAILED, OK, SECRET_KEY, TOKEN
from extension_harness.credentials import Credentials
from extension_harness.moody_origin import MoodyOrigin

SHUTDOWN_S = 0.2  # promised: Lambda kills who takes longer; half of all ends must keep it on any machine
END_S = 1.0  # of a single one: the machine that tests may be busy
FAREWELL_S = 0.15  # for an end in order; a machine too busy for that cuts it off (faults_test.py: a thread that hangs)


class StoryTest(case.ExtensionTest):
    def put_archive(self, **options):
        self.wanted = archives.entries(7, **options)
        archives.write(self.archive, self.wanted)

    def assert_all_there(self):
        self.assertEqual(archives.difference(archives.found(self.destination), self.wanted), "")

    def assert_failure(self, prefetch, status, error_type, *words):
        """One clear line in the log, and what it says."""
        self.assertEqual(prefetch.status(), status, prefetch.log.text())
        (failure,) = prefetch.log.objects("tmpdump.failed")
        self.assertEqual((failure["level"], failure["errorType"]), ("error", error_type))
        for word in words:
            self.assertIn(word, failure["message"])
        for line in prefetch.log.text().splitlines():
            json.loads(line)  # whatever came from outside: one JSON object a line
        return failure

    def assert_report(self, request, error_type, *words):
        self.assertEqual(request.headers["lambda-extension-function-error-type"], error_type)
        self.assertTrue(request.headers["lambda-extension-identifier"])
        body = json.loads(request.body)
        self.assertEqual((body["errorType"], body["stackTrace"]), (error_type, []))
        for word in words:
            self.assertIn(word, body["errorMessage"])


class LifeTest(StoryTest):
    def test_registers_first_and_holds_init(self):
        self.put_archive()
        seen = []
        api = self.start_api(on_register=lambda: seen.append((self.destination / ".tmpdump/manifest").read_bytes()))
        prefetch = self.start(api, self.start_origin().endpoint, name="under-another-name")
        api.wait_for(NEXT)
        # The runtime starts once register was answered: it must find a manifest. 24: header.state; 1: starting.
        self.assertEqual((seen[0][:8], seen[0][24] in (1, 2, 3)), (b"tmpdump\n", True))
        self.assertEqual(api.paths(), [REGISTER, NEXT])
        register, following = api.requests
        self.assertEqual((register.method, json.loads(register.body)), ("POST", {"events": ["SHUTDOWN"]}))
        self.assertEqual(register.headers["lambda-extension-name"], "under-another-name")
        self.assertEqual(following.headers["lambda-extension-identifier"], REGISTERED.headers[0][1])
        self.assert_all_there()  # before next: it ends INIT
        prefetch.log.wait_for("tmpdump.ready", DEADLINE_S)
        api.shut_down()
        self.assertEqual(prefetch.status(), 0, prefetch.log.text())
        self.assertEqual(api.paths(), [REGISTER, NEXT])

    def test_the_manifest_says_starting_before_register_is_answered(self):
        seen = []
        api = self.start_api(on_register=lambda: seen.append((self.destination / ".tmpdump/manifest").read_bytes()))
        origin = socket.create_server(("127.0.0.1", 0))  # takes connections, and never answers
        self.addCleanup(origin.close)
        self.start(api, f"http://127.0.0.1:{origin.getsockname()[1]}")
        api.wait_for(REGISTER)
        self.assertEqual((seen[0][:8], seen[0][24], len(seen[0])), (b"tmpdump\n", 1, 4096))

    def test_connects_to_the_origin_while_register_is_on_its_way(self):
        origin = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(origin.close)
        origin.settimeout(4)  # an answer that takes 5 s comes too late
        seen = []

        def answer_once_the_origin_has_seen_us():
            connection, _ = origin.accept()
            self.addCleanup(connection.close)
            seen.append(connection)
        api = self.start_api(on_register=answer_once_the_origin_has_seen_us)
        prefetch = self.start(api, f"http://127.0.0.1:{origin.getsockname()[1]}")
        prefetch.log.wait_for("tmpdump.registered", DEADLINE_S)
        self.assertEqual(len(seen), 1)
        prefetch.terminate()
        self.assertEqual(prefetch.status(), 0, prefetch.log.text())

    def test_does_not_hold_init(self):
        self.put_archive()
        api = self.start_api()
        origin = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(origin.close)
        prefetch = self.start(api, f"http://127.0.0.1:{origin.getsockname()[1]}", TMPDUMP_HOLD_INIT="0")
        api.wait_for(NEXT)  # while the origin says nothing at all
        self.assertFalse(prefetch.log.has("tmpdump.ready"))
        api.shut_down()
        self.assertEqual(prefetch.status(), 0, prefetch.log.text())

    def test_other_events_are_not_the_end(self):
        self.put_archive()
        api = self.start_api()
        prefetch = self.start(api, self.start_origin().endpoint)
        api.wait_for(NEXT)
        api.answer_next(Answer(body=b'{"eventType":"INVOKE","deadlineMs":1}'))
        api.wait_for(NEXT, count=2)
        api.shut_down()
        self.assertEqual(prefetch.status(), 0, prefetch.log.text())
        self.assert_all_there()

    def test_next_answers_nonsense(self):
        self.put_archive()
        for body in (b"", b"[]", b'{"eventType":', b'{"eventType":7}'):
            api = self.start_api()
            prefetch = self.start(api, self.start_origin().endpoint)
            api.wait_for(NEXT)
            api.answer_next(Answer(body=body))
            self.assert_failure(prefetch, 1, "Tmpdump.Network", "next")

    def test_sigterm_while_next_is_pending(self):
        self.put_archive()
        api = self.start_api()
        prefetch = self.start(api, self.start_origin().endpoint)
        api.wait_for(NEXT)
        prefetch.terminate()
        self.assertEqual(prefetch.status(), 0, prefetch.log.text())
        self.assertEqual(self.wait_beside().result(), (OK, ""))  # what is there stays usable

    def test_two_at_one_destination(self):
        self.put_archive()
        api, other = self.start_api(), self.start_api()
        endpoint = self.start_origin(total_mbps=8).endpoint
        first = self.start(api, endpoint)
        api.wait_for(REGISTER)
        waiter = self.wait_beside()
        second = self.start(other, endpoint)
        failure = self.assert_failure(second, 1, "Tmpdump.IO", str(self.destination))
        self.assertRegex(failure["message"], "another|other|already")
        self.assert_report(other.wait_for(INIT_ERROR), "Tmpdump.IO", str(self.destination))
        self.assertNotIn(NEXT, other.paths())
        api.wait_for(NEXT)
        self.assertEqual(waiter.result(), (OK, ""))
        self.assert_all_there()
        first.terminate()
        self.assertEqual(first.status(), 0)


class RefusedTest(StoryTest):
    """The Runtime API does not take us: nobody may hang, and the log says why."""

    def refused(self, api, *words, waits=True):
        self.put_archive()
        prefetch = self.start(api, self.start_origin().endpoint)
        self.assert_failure(prefetch, 1, "Tmpdump.Network", "Extensions API at http://127.0.0.1:", *words)
        code, reason = self.wait_beside("lib/never.so" if waits else "").result()
        self.assertIn(code, (FAILED, case.NOT_IN_ARCHIVE))
        code, reason = self.wait_beside().result()
        self.assertEqual(code, FAILED)
        self.assertIn("Extensions API", reason)
        return prefetch

    def test_nobody_listens(self):
        with socket.create_server(("127.0.0.1", 0)) as free:
            address = f"127.0.0.1:{free.getsockname()[1]}"
        self.refused(address, "register")

    def test_status(self):
        for status in (403, 500):
            with self.subTest(status=status):
                waiting = []
                api = self.start_api(Answer(status, body=b'{"errorMessage":"no\nsuch\x1b[31m extension"}'),
                                     on_register=lambda w=waiting: w.append(self.wait_beside()))
                self.refused(api, str(status))
                self.assertEqual(waiting[0].result()[0], FAILED)
                self.assertEqual(api.paths(), [REGISTER])  # who does not know us cannot be told

    def test_garbage(self):
        for raw in (b"", b"\x00\xff\x00\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Le", b"SSH-2.0-OpenSSH_9.2\r\n"):
            with self.subTest(raw=raw):
                self.refused(self.start_api(Answer(raw=raw)))

    def test_no_identifier(self):
        self.refused(self.start_api(Answer()), "Lambda-Extension-Identifier")

    def test_not_in_lambda(self):
        for address, words in ((None, "tmpdump fetch"), ("no port", "AWS_LAMBDA_RUNTIME_API")):
            prefetch = self.start(address, "http://127.0.0.1:1", TMPDUMP_LOG=None)
            self.assert_failure(prefetch, 2, "Tmpdump.Usage", "AWS_LAMBDA_RUNTIME_API", words)


class FailureTest(StoryTest):
    def test_missing_archive_continue(self):
        api = self.start_api()
        prefetch = self.start(api, self.start_origin().endpoint)
        api.wait_for(NEXT)
        prefetch.log.wait_for("tmpdump.missing", DEADLINE_S)
        self.assertEqual(prefetch.event("tmpdump.missing")["level"], "warn")
        code, reason = self.wait_beside().result()
        self.assertEqual(code, FAILED)
        self.assertIn("function.zip", reason)
        api.shut_down()
        self.assertEqual(prefetch.status(), 0)
        self.assertEqual(api.paths(), [REGISTER, NEXT])
        self.assertIn("function.zip", self.wait_beside().result()[1])  # the reason, not that we ended

    def test_missing_archive_fail(self):
        api = self.start_api()
        prefetch = self.start(api, self.start_origin().endpoint, TMPDUMP_ON_MISSING="fail")
        self.assert_failure(prefetch, 1, "Tmpdump.NotFound", "function.zip")
        self.assert_report(api.wait_for(INIT_ERROR), "Tmpdump.NotFound", "function.zip")
        self.assertEqual(api.paths(), [REGISTER, INIT_ERROR])
        self.assertEqual(self.wait_beside().result()[0], FAILED)

    def test_bad_configuration(self):
        for name, value in (("TMPDUMP_CONNECTIONS", "many"), ("TMPDUMP_HOLD_INIT", "yes"), ("TMPDUMP_URI", "ftp://a/b"),
                            ("TMPDUMP_ON_MISSING", "stop\n"), ("AWS_ENDPOINT_URL_S3", "nowhere")):
            with self.subTest(name=name):
                api = self.start_api()
                prefetch = self.start(api, "http://127.0.0.1:1", **{name: value})
                self.assert_failure(prefetch, 1, "Tmpdump.Usage", name)
                self.assert_report(api.wait_for(INIT_ERROR), "Tmpdump.Usage", name)
                self.assertEqual(api.paths(), [REGISTER, INIT_ERROR])
                code, reason = self.wait_beside().result()
                self.assertEqual(code, FAILED)
                self.assertIn(name, reason)

    def assert_not_tolerated(self, endpoint, name, **variables):
        """What S3 was never asked says nothing about the archive. A file that is not there, and one that is empty."""
        empty = self.folder / "empty"
        empty.touch()
        for file, error_type in (("/nonexistent/file", "Tmpdump.IO"), (str(empty), "Tmpdump.Usage")):
            with self.subTest(file=file):
                api = self.start_api()
                prefetch = self.start(api, endpoint, **{name: file}, **variables)
                prefetch.log.wait_for(r"tmpdump\.(missing|failed)", DEADLINE_S)
                self.assertFalse(prefetch.log.has("tmpdump.missing"), prefetch.log.text())
                self.assert_failure(prefetch, 1, error_type, name, file)
                self.assert_report(api.wait_for(INIT_ERROR), error_type, name)

    def test_a_bundle_that_is_not_there_is_no_missing_archive(self):
        self.put_archive()
        origin = self.start_origin(tls=True, ca_file=self.folder / "authority.pem")
        self.assert_not_tolerated(origin.endpoint, "AWS_CA_BUNDLE")

    def test_a_token_file_that_is_not_there_is_no_missing_archive(self):
        self.assert_not_tolerated("http://127.0.0.1:1", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", AWS_ACCESS_KEY_ID=None,
                                  AWS_SECRET_ACCESS_KEY=None,
                                  AWS_CONTAINER_CREDENTIALS_FULL_URI="http://127.0.0.1:1/credentials")

    def corrupt(self):
        self.put_archive()
        content = bytearray(self.archive.read_bytes())
        content[len(content) // 2] ^= 0xFF
        self.archive.write_bytes(content)

    def test_bad_archive_before_next(self):
        self.corrupt()
        api = self.start_api()
        prefetch = self.start(api, self.start_origin().endpoint)
        self.assert_failure(prefetch, 1, "Tmpdump.BadArchive")
        self.assert_report(api.wait_for(INIT_ERROR), "Tmpdump.BadArchive")
        self.assertEqual(archives.difference(archives.found(self.destination), self.wanted, partial=True), "")

    def test_bad_archive_after_next(self):
        self.corrupt()
        api = self.start_api()
        prefetch = self.start(api, self.start_origin(total_mbps=16).endpoint, TMPDUMP_HOLD_INIT="0")
        api.wait_for(NEXT)
        self.assert_failure(prefetch, 1, "Tmpdump.BadArchive")
        self.assert_report(api.wait_for(EXIT_ERROR), "Tmpdump.BadArchive")
        self.assertEqual(api.paths(), [REGISTER, NEXT, EXIT_ERROR])
        self.assertEqual(self.wait_beside().result()[0], FAILED)

    def test_waiters_are_failed_before_lambda_has_answered(self):
        """Whoever waits must not wait for Lambda too: its answer is held until they have theirs."""
        self.corrupt()
        for hold_init, path in (("1", INIT_ERROR), ("0", EXIT_ERROR)):
            with self.subTest(path=path):
                waiting, heard = [], []
                api = self.start_api(on_register=lambda w=waiting: w.append(self.wait_beside()),
                                     on_error=lambda w=waiting, h=heard: h.append(w[0].result()))
                prefetch = self.start(api, self.start_origin(total_mbps=16).endpoint, TMPDUMP_HOLD_INIT=hold_init)
                # One line: had the waiter waited for the answer, the extension would have given it up and said so.
                failure = self.assert_failure(prefetch, 1, "Tmpdump.BadArchive")
                api.wait_for(path)
                self.assertEqual(heard, [(FAILED, failure["message"])])

    def test_nowhere_to_put_it(self):
        self.destination.rmdir()
        self.destination.write_text("a file")
        api = self.start_api()
        prefetch = self.start(api, "http://127.0.0.1:1")
        self.assert_failure(prefetch, 1, "Tmpdump.IO", str(self.destination))
        self.assert_report(api.wait_for(INIT_ERROR), "Tmpdump.IO", str(self.destination))


class LogTest(StoryTest):
    """What the function's log gets, and that TMPDUMP_LOG decides it."""

    def run_to_next(self, origin, **variables):
        api = self.start_api()
        prefetch = self.start(api, origin.endpoint, **variables)
        api.wait_for(NEXT)
        api.shut_down()
        self.assertEqual(prefetch.status(), 0, prefetch.log.text())
        return prefetch

    def test_ready_line(self):
        self.put_archive()
        # Slow enough that register has been answered before all is there.
        ready = self.run_to_next(self.start_origin(first_byte_ms=50)).event("tmpdump.ready")
        self.assertEqual(set(ready), {"level", "event", "version", "uri", "etag", "bytes", "unpacked_bytes", "files", "kept",
                                      "requests", "connections", "retries", "hedges", "peak_memory_bytes", "ms"})
        at = ready["ms"]
        self.assertEqual(set(at), {"registered", "connected", "first_byte", "directory", "first_file", "ready"})
        self.assertLessEqual(0, at["registered"])
        self.assertLessEqual(at["registered"], at["ready"])
        in_order = [at[phase] for phase in ("connected", "first_byte", "directory", "first_file", "ready")]
        self.assertEqual(in_order, sorted(in_order))
        self.assertEqual(ready["files"], sum(kind != "folder" for kind, _, _ in self.wanted.values()))
        self.assertEqual(ready["unpacked_bytes"],
                         sum(len(content) for _, _, content in self.wanted.values()))

    def test_metrics(self):
        """As CloudWatch reads it: metrics and dimensions are members of the object that names them."""
        self.put_archive()
        prefetch = self.run_to_next(self.start_origin(), TMPDUMP_METRICS="emf", AWS_LAMBDA_FUNCTION_NAME="my-function")
        (line,) = prefetch.log.all('"_aws"')
        metrics = json.loads(line.text)
        (directive,) = metrics["_aws"]["CloudWatchMetrics"]
        for metric in directive["Metrics"]:
            self.assertIsInstance(metrics.get(metric["Name"]), (int, float), metric)
        for dimension in sum(directive["Dimensions"], []):
            self.assertIsInstance(metrics.get(dimension), str, dimension)
        ready = prefetch.event("tmpdump.ready")
        self.assertEqual(metrics["TimeToReady"], ready["ms"]["ready"])
        self.assertEqual((metrics["FunctionName"], metrics["Bytes"]), ("my-function", ready["bytes"]))

    def details(self, prefetch, event):
        return [line["detail"] for line in prefetch.log.objects(f"tmpdump.{event}")]

    def test_debug_tells_what_was_in_the_way(self):
        self.put_archive()
        credentials = Credentials("old" + TOKEN, TOKEN)
        self.addCleanup(credentials.close)
        origin = MoodyOrigin(self.archive.read_bytes(), "eu-central-1", TOKEN, busy=3)
        self.addCleanup(origin.close)
        prefetch = self.run_to_next(
            origin, AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None, AWS_CONTAINER_CREDENTIALS_FULL_URI=credentials.uri,
            AWS_CONTAINER_AUTHORIZATION_TOKEN=SECRET_KEY[::-1])
        self.assert_all_there()
        self.assertEqual(self.details(prefetch, "region"), ["from: us-east-1; to: eu-central-1"])
        self.assertEqual(self.details(prefetch, "keys"), ["reason: the ones before were refused"])
        self.assertEqual(len(credentials.asked), 2)
        retries = self.details(prefetch, "retry")
        self.assertEqual(len(retries), prefetch.event("tmpdump.ready")["retries"])
        for what in ("HTTP 301 PermanentRedirect", "HTTP 400 ExpiredToken", "HTTP 503 SlowDown"):
            self.assertRegex("\n".join(retries), rf"(?m)^range \d; reason: .*{what}.*; position: \d+$")

    def test_debug_tells_of_hedges(self):
        self.put_archive()
        prefetch = self.run_to_next(self.start_origin(first_byte_ms=600))
        hedges = self.details(prefetch, "hedge")
        self.assertIn("range 0; position: 0", hedges)  # all waits for the directory: it is asked for again after 100 ms
        self.assertEqual(len(hedges), prefetch.event("tmpdump.ready")["hedges"])

    def test_without_debug_no_steps(self):
        self.put_archive()
        self.assert_levels(self.run_to_next(self.start_origin(first_byte_ms=600), TMPDUMP_LOG="info",
                                            TMPDUMP_TRACE=str(self.folder / "trace.json")), ("info", "tmpdump.ready"))

    def assert_levels(self, prefetch, *expected):
        lines = [json.loads(line) for line in prefetch.log.text().splitlines()]
        self.assertEqual([(line.get("level"), line.get("event")) for line in lines], list(expected))

    def test_a_trace_that_cannot_be_written_is_a_warning(self):
        self.put_archive()
        prefetch = self.run_to_next(self.start_origin(), TMPDUMP_LOG="info", TMPDUMP_TRACE="/proc/no/x")
        self.assert_levels(prefetch, ("warn", "tmpdump.trace"), ("info", "tmpdump.ready"))
        self.assertIn("write trace '/proc/no/x': No such file or directory", prefetch.event("tmpdump.trace")["message"])
        self.assert_all_there()
        self.assertEqual(self.wait_beside().result(), (OK, ""))

    def test_level_of_ready(self):
        self.put_archive()
        origin = self.start_origin()
        for level, lines in (("error", []), ("warn", []), ("info", [("info", "tmpdump.ready")]),
                             (None, [("info", "tmpdump.ready")])):
            with self.subTest(level=level):
                self.assert_levels(self.run_to_next(origin, TMPDUMP_LOG=level), *lines)
        prefetch = self.run_to_next(origin, TMPDUMP_LOG="debug")
        for event in ("processor", "registered", "directory", "ready"):
            prefetch.event(f"tmpdump.{event}")

    def test_level_of_what_is_tolerated(self):
        origin = self.start_origin()
        for level, lines in (("error", []), ("warn", [("warn", "tmpdump.missing")]), ("info", [("warn", "tmpdump.missing")])):
            with self.subTest(level=level):
                self.assert_levels(self.run_to_next(origin, TMPDUMP_LOG=level), *lines)

    def test_errors_at_any_level(self):
        origin = self.start_origin()
        for level in ("error", "warn", "info"):
            with self.subTest(level=level):
                prefetch = self.start(self.start_api(), origin.endpoint, TMPDUMP_LOG=level, TMPDUMP_ON_MISSING="fail")
                self.assert_failure(prefetch, 1, "Tmpdump.NotFound", "function.zip")
                self.assert_levels(prefetch, ("error", "tmpdump.failed"))

    def test_metrics_at_any_level(self):
        """They were asked for by a variable of their own."""
        self.put_archive()
        prefetch = self.run_to_next(self.start_origin(), TMPDUMP_LOG="error", TMPDUMP_METRICS="emf")
        self.assertIn("_aws", json.loads(prefetch.log.text()))


class EndTest(StoryTest):
    """SHUTDOWN and SIGTERM at random moments: status 0, at once, nothing half-written, everybody told."""

    def ends(self, how, number):
        took = []
        chance = random.Random(case.SEED * 1000 + number)
        self.put_archive(files=40, size=100_000)
        endpoint = self.start_origin(total_mbps=64).endpoint  # some 0.4 s for all of it
        for _ in range(case.rounds(12)):
            destination = self.folder / f"tmp-{len(took)}"
            destination.mkdir()
            api = self.start_api()
            prefetch = self.start(api, endpoint, TMPDUMP_HOLD_INIT="0" if how == "SHUTDOWN" else "1",
                                  TMPDUMP_DEST=str(destination))
            api.wait_for(NEXT if how == "SHUTDOWN" else REGISTER)
            waiter = self.wait_beside(destination=destination)
            time.sleep(chance.uniform(0, 0.5))  # not to wait for something: the random moment
            begin = time.monotonic()
            if how == "SHUTDOWN":
                api.shut_down()
            else:
                prefetch.terminate(how)
            self.assertEqual(prefetch.status(), 0, prefetch.log.text())
            took.append(prefetch.ended - begin)
            self.assertEqual(archives.difference(archives.found(destination), self.wanted, partial=True), "")
            in_order = took[-1] < FAREWELL_S
            self.assertFalse(in_order and (destination / ".tmpdump" / "stage").exists())
            ready = prefetch.log.has("tmpdump.ready")
            heard = waiter.result()[0]
            self.assertTrue(heard == (OK if ready else FAILED) or not in_order and heard == DAEMON_DIED, heard)
            self.assertFalse(prefetch.log.has("tmpdump.failed"), prefetch.log.text())
        median = statistics.median(took)
        print(f"{how}: ended within {1e3 * max(took):.0f} ms (median {1e3 * median:.0f})")
        self.assertLess(median, SHUTDOWN_S)
        self.assertLess(max(took), END_S)

    def test_shutdown_at_random_moments(self):
        self.ends("SHUTDOWN", 1)

    def test_sigterm_at_random_moments(self):
        self.ends(signal.SIGTERM, 2)

    def test_sigterm_while_register_hangs(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            silent.settimeout(DEADLINE_S)
            prefetch = self.start(f"127.0.0.1:{silent.getsockname()[1]}", "http://127.0.0.1:1")
            connection, _ = silent.accept()
            with connection:
                self.assertTrue(connection.recv(1))
                begin = time.monotonic()
                prefetch.terminate()
                self.assertEqual(prefetch.status(), 0, prefetch.log.text())
                self.assertLess(time.monotonic() - begin, END_S)
        self.assertEqual(self.wait_beside().result()[0], FAILED)


class SecretsTest(StoryTest):
    """Nothing of them is in what stays: that is looked for in each story of all (case.Prefetch.look_for_secrets)."""

    def run_signed(self, **variables):
        self.put_archive()
        api = self.start_api()
        origin = self.start_origin(session_token=TOKEN)
        prefetch = self.start(api, origin.endpoint, **{"AWS_SESSION_TOKEN": TOKEN, "TMPDUMP_METRICS": "emf",
                                                       "TMPDUMP_TRACE": str(self.folder / "trace.json"), **variables})
        api.wait_for(NEXT)
        api.shut_down()
        self.assertEqual(prefetch.status(), 0, prefetch.log.text())
        return prefetch

    def test_signed(self):
        self.assertTrue(self.run_signed().log.has("tmpdump.ready"))
        self.assert_all_there()

    def test_signed_wrongly(self):
        prefetch = self.run_signed(AWS_SECRET_ACCESS_KEY="anotherSecretKEYofTheFunction000000000000")
        self.assertTrue(prefetch.log.has("tmpdump.missing"))

    def test_presigned(self):
        signature = "fe5f80f77d5fa3beca038a248ff027d0445342fe2855ddc963176630326f1024"
        api = self.start_api()
        origin = self.start_origin(session_token=TOKEN)
        prefetch = self.start(api, None, TMPDUMP_TRACE=str(self.folder / "trace.json"),
                              TMPDUMP_URI=f"{origin.endpoint}/{case.BUCKET}/function.zip?X-Amz-Signature={signature}"
                                          f"&X-Amz-Security-Token={TOKEN}")
        # The origin finds the other parameters of a signature missing.
        failure = self.assert_failure(prefetch, 1, "Tmpdump.Network", "/function.zip: ")
        self.assertIn(failure["message"], json.loads(api.wait_for(INIT_ERROR).body)["errorMessage"])


if __name__ == "__main__":
    case.main()
