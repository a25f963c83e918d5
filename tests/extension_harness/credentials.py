# SPDX-License-Identifier: Apache-2.0
"""Where an extension gets keys that expire."""
import json
from datetime import datetime, timedelta, timezone

from extension_harness.case import ACCESS_KEY, SECRET_KEY
from extension_harness.loopback import LoopbackServer, QuietHandler


class Credentials(LoopbackServer):
    """The container credentials endpoint. `asked`: the Authorization headers that came; the Nth gets the Nth of `tokens`,
    and the last one from then on; `secrets`: as many secret access keys. Chunked: answers of 10 KB without their length.
    `lives_s`: all but the last expire so soon.
    """

    def __init__(self, *tokens, chunked=False, secrets=(), lives_s=None):
        self.asked = []
        outer = self

        class Handler(QuietHandler):
            protocol_version = "HTTP/1.1" if chunked else "HTTP/1.0"

            def do_GET(self):
                outer.asked.append(self.headers.get("Authorization"))
                turn = min(len(outer.asked), len(tokens)) - 1
                until = "2100-01-01T00:00:00Z"
                if lives_s is not None and turn + 1 < len(tokens):
                    until = datetime.now(timezone.utc) + timedelta(seconds=lives_s)
                    until = until.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
                body = json.dumps({"AccessKeyId": ACCESS_KEY, "SecretAccessKey": secrets[turn] if secrets else SECRET_KEY,
                                   "Token": tokens[turn], "Expiration": until, "Padding": " " * 10_000 * chunked}).encode()
                self.send_response(200)
                if chunked:
                    self.send_header("Transfer-Encoding", "chunked")
                    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
                else:
                    self.send_header("Content-Length", str(len(body)))
                try:
                    self.end_headers()
                    self.wfile.write(body)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True  # the extension has ended

        super().__init__(Handler)
        self.uri = f"{self.endpoint}/credentials"
