# SPDX-License-Identifier: Apache-2.0
"""An S3 that refuses each signature, and says what it was, as S3 does; or says more."""
import re
from xml.sax.saxutils import escape

from extension_harness.loopback import LoopbackServer, QuietHandler

WORDS = "The request signature we calculated does not match the signature you provided. Check your key and signing method."


class Echo(LoopbackServer):
    """`elements` of its answers beside Code and Message, `message`: text in which {name} stands for what the request has of:
    key, signature, token, request. `signatures`: those that came.
    """

    # The API reference's example, of which S3 sends more than it names: "Error responses", SignatureDoesNotMatch.
    ELEMENTS = {"AWSAccessKeyId": "{key}", "StringToSign": "AWS4-HMAC-SHA256\n{request}", "SignatureProvided": "{signature}",
                "StringToSignBytes": "41 57 53 34", "CanonicalRequest": "{request}", "RequestId": "4442587FB7D0A2F9"}

    def __init__(self, message=WORDS, code="SignatureDoesNotMatch", status=403):
        self.signatures, outer = [], self

        class Handler(QuietHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                body = outer.refusal(self.path, self.headers, message, code).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/xml")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        super().__init__(Handler)

    def refusal(self, path, headers, message, code):
        authorization = headers.get("Authorization", "")
        key, signature = re.search(r"Credential=([^/]+).*Signature=(\w+)", f"{authorization} Credential=none/ Signature=none").groups()
        self.signatures.append(signature)
        told = {"key": key, "signature": signature, "token": headers.get("x-amz-security-token", ""),
                "request": f"GET\n{path}\n\n" + "".join(f"{name.lower()}:{value}\n" for name, value in headers.items())}
        elements = {"Code": code, "Message": message, **self.ELEMENTS}
        return "<Error>" + "".join(f"<{name}>{escape(text.format(**told))}</{name}>" for name, text in elements.items()) + "</Error>"
