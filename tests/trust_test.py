# SPDX-License-Identifier: Apache-2.0
"""Who is spoken to, and how: no variable makes an unknown certificate good, no answer sends keys to another host or from
TLS to plain text.
"""
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from extension_harness import archives, case
from extension_harness.api import INIT_ERROR
from extension_harness.case import ACCESS_KEY, DEADLINE_S, TOKEN


class Server:
    """Answers every GET with `status` and `headers`; `asked` are the requests' headers."""

    def __init__(self, status, headers=()):
        self.asked = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.asked.append(dict(self.headers.items()))
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # the extension ends while connections are open
        self.endpoint = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class TrustTest(case.ExtensionTest):
    def setUp(self):
        super().setUp()
        archives.write(self.archive, archives.entries(51, files=5))
        self.api = self.start_api()

    def serve(self, *arguments, **options):
        server = Server(*arguments, **options)
        self.addCleanup(server.close)
        return server

    def failure(self, endpoint, **variables):
        self.api.requests.clear()
        prefetch = self.start(self.api, endpoint, AWS_SESSION_TOKEN=TOKEN, **variables)
        prefetch.log.wait_for(r"tmpdump\.(ready|missing|failed)", DEADLINE_S)
        self.assertEqual(prefetch.status(), 1, prefetch.log.text())
        self.api.wait_for(INIT_ERROR)
        self.assertEqual(archives.found(self.destination), {})
        return prefetch.event("tmpdump.failed")["message"]

    def test_no_variable_switches_verification_off(self):
        authority = self.folder / "authority.pem"
        origin = self.start_origin(tls=True, ca_file=authority)
        configuration = self.folder / "openssl.cnf"
        configuration.write_text("openssl_conf = all\n[all]\nssl_conf = ssl\n[ssl]\nsystem_default = off\n"
                                 "[off]\nVerifyMode = None\nMinProtocol = None\n")
        hostile = {"SSL_CERT_FILE": str(authority), "SSL_CERT_DIR": str(self.folder), "OPENSSL_CONF": str(configuration),
                   "NODE_TLS_REJECT_UNAUTHORIZED": "0", "PYTHONHTTPSVERIFY": "0", "CURL_CA_BUNDLE": str(authority),
                   "REQUESTS_CA_BUNDLE": str(authority), "AWS_S3_VERIFY": "false", "AWS_NO_VERIFY_SSL": "1",
                   "GIT_SSL_NO_VERIFY": "1", "SSLKEYLOGFILE": str(self.folder / "keys")}
        message = self.failure(origin.endpoint, **hostile)
        self.assertIn("certificate", message)
        self.assertIn("AWS_CA_BUNDLE", message)
        self.assertFalse((self.folder / "keys").exists())
        # The one that names whom to trust does.
        prefetch = self.start(self.api, origin.endpoint, AWS_CA_BUNDLE=str(authority))
        prefetch.log.wait_for("tmpdump.ready", DEADLINE_S)

    def test_nobody_is_followed_to_another_host(self):
        """Nor to the same one without TLS: where a request goes is computed from the settings and a region's name."""
        elsewhere = self.serve(200)
        for status in (301, 302, 303, 307, 308):
            for region in ("", "eu-west-1", "evil.example/", "127.0.0.1:1#"):
                with self.subTest(status=status, region=region):
                    headers = [("Location", f"{elsewhere.endpoint}/{case.BUCKET}/function.zip")]
                    if region:
                        headers.append(("x-amz-bucket-region", region))
                    server = self.serve(status, headers)
                    message = self.failure(server.endpoint, TMPDUMP_CONNECTIONS="1")
                    self.assertTrue("redirected" in message or "AWS_REGION" in message or "unexpected answer" in message,
                                    message)
                    self.assertTrue(server.asked)
                    for headers in server.asked:
                        self.assertIn(f"Credential={ACCESS_KEY}/", headers["Authorization"])
                        self.assertNotIn("evil", headers["Authorization"])
        self.assertEqual(elsewhere.asked, [])

    def test_a_plain_url_is_not_followed_either(self):
        elsewhere = self.serve(200)
        server = self.serve(302, [("Location", elsewhere.endpoint + "/function.zip")])
        self.failure(None, TMPDUMP_URI=f"{server.endpoint}/function.zip?X-Amz-Signature=abc")
        self.assertEqual(elsewhere.asked, [])
        self.assertNotIn("Authorization", server.asked[0])  # our keys are S3's alone

    def test_plain_text_only_where_the_endpoint_says_so(self):
        plain = self.serve(200)
        message = self.failure(plain.endpoint.replace("http:", "https:"))
        self.assertIn("TLS", message)
        self.assertEqual(plain.asked, [])


if __name__ == "__main__":
    case.main()
