# SPDX-License-Identifier: Apache-2.0
"""Who is spoken to, and how: no variable makes an unknown certificate good, no answer sends keys to another host or from
TLS to plain text.
"""
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from extension_harness import archives, case
from extension_harness.api import INIT_ERROR
from extension_harness.case import ACCESS_KEY, DEADLINE_S, TOKEN


def self_signed(folder):
    """A certificate of 127.0.0.1 that is its own authority, and its key: files."""
    certificate, key = folder / "server.pem", folder / "server.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "1", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-out", certificate, "-keyout", key], check=True, capture_output=True)
    return certificate, key


class Listener(ThreadingHTTPServer):
    daemon_threads = True
    connections = 0

    def get_request(self):
        self.connections += 1
        return super().get_request()

    def handle_error(self, *_):
        pass  # the extension ends while connections are open


class Server:
    """Answers every GET with `status` and `headers`; `asked` are the requests' headers. `identity`: with TLS."""

    def __init__(self, status, headers=(), identity=None):
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

        self.server = Listener(("127.0.0.1", 0), Handler)
        if identity:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*identity)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.endpoint = f"http{'s' if identity else ''}://127.0.0.1:{self.server.server_address[1]}"
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

    def assert_says_so(self, message, status):
        """Redirected, or that the region was followed once already; and what to look at."""
        self.assertTrue(f"redirected (HTTP {status})" in message or "followed once already" in message, message)
        self.assertTrue("AWS_REGION" in message or "check the endpoint" in message, message)

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
        """Where a request goes is computed from the settings and a region's name."""
        elsewhere = self.serve(200)
        for status in (301, 302, 303, 307, 308):
            for region in ("", "eu-west-1", "evil.example/", "127.0.0.1:1#"):
                with self.subTest(status=status, region=region):
                    headers = [("Location", f"{elsewhere.endpoint}/{case.BUCKET}/function.zip")]
                    if region:
                        headers.append(("x-amz-bucket-region", region))
                    server = self.serve(status, headers)
                    message = self.failure(server.endpoint, TMPDUMP_CONNECTIONS="1")
                    self.assert_says_so(message, status)
                    self.assertTrue(server.asked)
                    for headers in server.asked:
                        self.assertIn(f"Credential={ACCESS_KEY}/", headers["Authorization"])
                        self.assertNotIn("evil", headers["Authorization"])
        self.assertEqual(elsewhere.asked, [])

    def test_nobody_is_followed_from_tls_to_plain_text(self):
        identity = self_signed(self.folder)
        plain = self.serve(200)
        key = f"/{case.BUCKET}/function.zip"
        for status in (301, 302, 303, 307, 308):
            for region in ("", "eu-west-1"):
                for location in (plain.endpoint + key, plain.endpoint.removeprefix("http:") + key):
                    with self.subTest(status=status, region=region, location=location):
                        headers = [("Location", location), *([("x-amz-bucket-region", region)] if region else [])]
                        server = self.serve(status, headers, identity)
                        message = self.failure(server.endpoint, AWS_CA_BUNDLE=str(identity[0]), TMPDUMP_CONNECTIONS="1")
                        self.assert_says_so(message, status)
                        self.assertTrue(server.asked)
                        self.assertIn(f"Credential={ACCESS_KEY}/", server.asked[0]["Authorization"])
        server = self.serve(302, [("Location", plain.endpoint + key)], identity)
        message = self.failure(None, TMPDUMP_URI=f"{server.endpoint}/function.zip?X-Amz-Signature=abc",
                               AWS_CA_BUNDLE=str(identity[0]))
        self.assertIn("redirected (HTTP 302), which is not followed; use the URL that it leads to", message)
        self.assertTrue(server.asked)
        self.assertEqual(plain.asked, [])
        self.assertEqual(plain.server.connections, 0)

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
