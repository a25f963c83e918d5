# SPDX-License-Identifier: Apache-2.0
"""An origin that has to be asked in the right region, with the right token, and more than once."""
import re

from emulator.gated_origin import GatedOrigin


class MoodyOrigin(GatedOrigin):
    def __init__(self, content, region, token, busy):
        """The first `busy` requests for the archive's end that are right otherwise are told to slow down."""
        super().__init__(content)
        self.region, self.token, self.busy = region, token, busy

    def answer(self, request):
        request.rfile.read(int(request.headers.get("Content-Length") or 0))
        wanted = request.headers["Range"]
        first = re.fullmatch(r"bytes=(\d*)-\d*", wanted).group(1)
        if f"/{self.region}/s3/" not in request.headers["Authorization"]:
            self.refuse(request, 301, "PermanentRedirect", ("x-amz-bucket-region", self.region))
        elif request.headers["x-amz-security-token"] != self.token:
            self.refuse(request, 400, "ExpiredToken")
        elif first and int(first) >= len(self.content):
            self.refuse(request, 416, "InvalidRange")
        elif not first and self.busy > 0:
            self.busy -= 1
            self.refuse(request, 503, "SlowDown")
        else:
            super().answer(request)

    @staticmethod
    def refuse(request, status, code, *headers):
        body = f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()
        request.send_response(status)
        for name, value in (("Content-Type", "application/xml"), ("Content-Length", str(len(body))), *headers):
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)
