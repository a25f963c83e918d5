# SPDX-License-Identifier: Apache-2.0
"""SnapStart: a snapshot is taken when INIT is over, and wakes on other hosts, weeks later by the clock."""
import http.server
import json
import os
import threading
import time

from extension_harness import archives, case
from extension_harness.api import NEXT, Answer
from extension_harness.case import DEADLINE_S, PPOLL

SNAP_START = {"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}
NO_KEYS = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}
FILES = 24  # 20 and four links
A_MONTH_NS = 30 * 24 * 3600 * 10**9


def dynamic():
    """The program with a libc whose clock can be moved."""
    return case.SANITIZED or case.build / "bin" / "prefetch_dynamic"


def clock_jump():
    return {"LD_PRELOAD": str(case.build / "lib" / "clock_jump.so"), **case.PRELOADED}


class CredentialsEndpoint:
    """Lambda's for snapshots: keys for whoever shows the token of the hour. `answers`: (token, seconds to live) each."""

    def __init__(self, token_file, answers):
        self.asked, self.refused = [], 0
        self.token_file, self.answers = token_file, answers
        endpoint = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                turn = min(len(endpoint.asked), len(endpoint.answers) - 1)
                token, lives_s = endpoint.answers[turn]
                if self.headers.get("Authorization") != token:
                    endpoint.refused += 1
                    self.send_error(403)
                    return
                endpoint.asked.append(token)
                if turn + 1 < len(endpoint.answers):  # rotated: the next one counts from now on
                    endpoint.token_file.write_text(endpoint.answers[turn + 1][0])
                until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + lives_s))
                body = json.dumps({"AccessKeyId": case.ACCESS_KEY, "SecretAccessKey": case.SECRET_KEY,
                                   "Token": "", "Expiration": until}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/2021-04-23/credentials"
        self.token_file.write_text(answers[0][0])
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


class SnapStartTest(case.ExtensionTest):
    def setUp(self):
        super().setUp()
        archives.write(self.archive, archives.entries(21, files=20, size=400_000))
        self.ahead = self.folder / "ahead"
        self.ahead.write_bytes(bytes(8))

    def start_with_movable_clock(self, **variables):
        api = self.start_api()
        prefetch = self.start(api, self.start_origin().endpoint, program=dynamic(), CLOCK_JUMP=str(self.ahead), **clock_jump(),
                              **SNAP_START, **variables)
        return prefetch, api

    def jump(self, nanoseconds):
        with open(self.ahead, "r+b") as file:
            file.write(nanoseconds.to_bytes(8, "little"))

    def wait_until_it_rests(self, prefetch, api, count=1):
        api.wait_for(NEXT, count=count)
        case.until(lambda: (prefetch.system_call() or [None])[0] == PPOLL, "at rest")

    def test_everything_is_there_before_the_snapshot(self):
        """Even where TMPDUMP_HOLD_INIT=0 asks for the contrary."""
        api = self.start_api()
        prefetch = self.start(api, self.start_origin().endpoint, **SNAP_START, TMPDUMP_HOLD_INIT="0")
        self.wait_until_it_rests(prefetch, api)
        self.assertEqual(prefetch.event("tmpdump.ready")["files"], FILES)
        # Neither a connection nor a limit goes into the snapshot: it waits for one descriptor, for ever.
        number, (_, descriptors, limit, *_) = prefetch.system_call()
        self.assertEqual((number, descriptors, limit), (PPOLL, 1, 0))
        sockets = [link for link in map(read_link, os.scandir(f"/proc/{prefetch.process.pid}/fd")) if "socket:" in link]
        self.assertEqual(len(sockets), 1, sockets)
        api.shut_down()
        self.assertEqual(prefetch.status(), 0)

    def test_the_clock_jumps_while_it_rests(self):
        prefetch, api = self.start_with_movable_clock()
        self.wait_until_it_rests(prefetch, api)
        self.jump(A_MONTH_NS)
        api.answer_next(Answer(body=b'{"eventType":"INVOKE","deadlineMs":1}'))
        self.wait_until_it_rests(prefetch, api, count=2)
        self.jump(2 * A_MONTH_NS)
        self.assertIsNone(prefetch.process.poll())
        api.shut_down()
        self.assertEqual(prefetch.status(), 0, prefetch.log.text())
        self.assertFalse(prefetch.log.has("tmpdump.failed"), prefetch.log.text())
        self.assertEqual(prefetch.event("tmpdump.ready")["files"], FILES)

    def test_the_clock_that_jumps_is_the_one_that_it_reads(self):
        """Else the story above shows nothing: with a jump on the way the report's times are a month long."""
        api = self.start_api()
        prefetch = self.start(api, self.start_origin(total_mbps=40).endpoint, program=dynamic(), CLOCK_JUMP=str(self.ahead),
                              **clock_jump())
        prefetch.log.wait_for("tmpdump.published", DEADLINE_S)
        self.jump(A_MONTH_NS)
        # What had a limit sees it passed, and says so, or goes on by another try: it does not hang.
        prefetch.log.wait_for("tmpdump.ready|tmpdump.failed", DEADLINE_S)
        if prefetch.log.has("tmpdump.ready"):
            self.assertGreater(prefetch.event("tmpdump.ready")["ms"]["ready"], A_MONTH_NS / 1e6)

    def test_keys_from_the_endpoint_while_its_token_rotates(self):
        endpoint = CredentialsEndpoint(self.folder / "token", [("first-token", 1), ("second-token", 3600)])
        self.addCleanup(endpoint.close)
        api = self.start_api()
        # One range after the other, so that some are asked for when the first keys are old.
        prefetch = self.start(api, self.start_origin(total_mbps=16).endpoint, **SNAP_START, **NO_KEYS,
                              TMPDUMP_CONNECTIONS="1",
                              AWS_CONTAINER_CREDENTIALS_FULL_URI=endpoint.url,
                              AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=str(self.folder / "token"))
        self.wait_until_it_rests(prefetch, api)
        self.assertTrue(prefetch.log.has("tmpdump.ready"), prefetch.log.text())
        # The first keys lived for a second: they were renewed before they expired, with the new token.
        self.assertEqual(endpoint.asked[:2], ["first-token", "second-token"])
        self.assertEqual(endpoint.refused, 0)
        for secret in ("first-token", "second-token"):
            self.assertNotIn(secret, prefetch.log.text())


def read_link(entry):
    try:
        return os.readlink(entry.path)
    except FileNotFoundError:
        return ""


if __name__ == "__main__":
    case.main()
