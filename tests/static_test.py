# SPDX-License-Identifier: Apache-2.0
"""The program that goes into a layer: one static file that needs nothing of the system that it runs on.

In a mount, network and PID namespace of its own, so that ports 53 and 443 of loopback are there to have.
"""
import os
import shutil
import struct
import subprocess
import sys

from extension_harness import archives, case
from extension_harness.api import INIT_ERROR, NEXT
from extension_harness.case import BUCKET, DEADLINE_S, REGION, TESTS
from extension_harness.dns import NameServer
from extension_harness.presenter import Presenter

from emulator import namespaces
from emulator.sandbox import place

MOST_BYTES = 8_000_000
DYNAMIC, INTERPRETER, FRAME_TABLE = 2, 3, 0x6474E550  # of the program headers' types
NEEDED, RELATIVE_RELOCATIONS = 1, 36  # of the dynamic section's tags: DT_NEEDED, DT_RELR
ROOTS = TESTS.parent / "daemon" / "net" / "roots"
AWS = f"{BUCKET}.s3.{REGION}.amazonaws.com"
NAME_SERVER = "127.0.0.53"
PROGRAM = "opt/extensions/tmpdump-prefetch"
# With this, no connection that TLS makes would be good enough for us.
HOSTILE_OPENSSL_CNF = """
openssl_conf = everything
[everything]
ssl_conf = protocols
[protocols]
system_default = oldest
[oldest]
MaxProtocol = TLSv1
"""


class FileTest(case.ExtensionTest):
    def test_is_static(self):
        content = (case.build / "bin" / "tmpdump-prefetch").read_bytes()
        self.assertEqual(content[:6], b"\x7fELF\2\1")  # 64 bits, little endian
        (at,) = struct.unpack_from("<Q", content, 32)
        size, count = struct.unpack_from("<HH", content, 54)
        headers = {}  # kind: (place in the file, size there)
        for number in range(count):
            kind, _, offset, _, _, length = struct.unpack_from("<IIQQQQ", content, at + size * number)
            headers[kind] = (offset, length)
        self.assertNotIn(INTERPRETER, headers)
        self.assertIn(FRAME_TABLE, headers)  # else the first exception makes one
        self.assertIn(DYNAMIC, headers)  # position-independent: it relocates itself, and needs no library
        offset, length = headers[DYNAMIC]
        tags = [struct.unpack_from("<Q", content, offset + 16 * item)[0] for item in range(length // 16)]
        self.assertNotIn(NEEDED, tags)
        self.assertIn(RELATIVE_RELOCATIONS, tags)

    def test_is_small(self):
        stripped = self.folder / "stripped"
        subprocess.run(["strip", "-o", stripped, case.build / "bin" / "tmpdump-prefetch"], check=True)
        print(f"stripped: {stripped.stat().st_size:,} bytes")
        self.assertLess(stripped.stat().st_size, MOST_BYTES)
        said = subprocess.run([stripped, "--version"], stdout=subprocess.PIPE, check=True, text=True).stdout
        self.assertRegex(said, r"^tmpdump-prefetch \d")


class EmptyRootTest(case.ExtensionTest):
    """Nothing but the program, resolv.conf, hosts, and /tmp."""

    def setUp(self):
        super().setUp()
        self.root = self.folder / "root"
        self.destination = self.root / "tmp"
        for folder in ("etc", "opt/extensions", "tmp"):
            (self.root / folder).mkdir(parents=True)
        place(case.build / "bin" / "tmpdump-prefetch", self.root / PROGRAM)
        self.put("etc/resolv.conf", f"nameserver {NAME_SERVER}\n")
        self.put("etc/hosts", "127.0.0.1 localhost\n127.0.0.1 runtime.internal\n")
        self.server = NameServer(NAME_SERVER, {AWS: "127.0.0.2"})
        self.addCleanup(self.server.close)
        self.authority = self.folder / "authority.pem"
        self.start_origin(tls=True, ca_file=self.authority, address="127.0.0.2", port=443)
        self.wanted = archives.entries(21)
        archives.write(self.archive, self.wanted)

    def put(self, path, text):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def start_inside(self, endpoint=None, destination="/tmp", **variables):
        """(prefetch, api): the default endpoint of S3 unless there is another."""
        api = self.start_api()
        runtime = "runtime.internal:" + api.address.split(":")[1]  # only the hosts file knows it
        return self.start(runtime, endpoint, root=self.root, TMPDUMP_DEST=destination, TMPDUMP_LOG=None, **variables), api

    def assert_prefetches(self, **variables):
        prefetch, api = self.start_inside(**variables)
        api.wait_for(NEXT)
        api.shut_down()
        self.assertEqual(prefetch.status(), 0, prefetch.log.text())
        self.assertEqual(prefetch.event("tmpdump.ready")["uri"], f"s3://{BUCKET}/function.zip")
        self.assertEqual(archives.difference(archives.found(self.destination), self.wanted), "")

    def refusal(self, prefetch, api):
        """What it says when it is sure that it cannot have the archive: it tries for some 9 s."""
        api.wait_for(INIT_ERROR)
        self.assertEqual(prefetch.status(), 1)
        failure = prefetch.event("tmpdump.failed")
        self.assertEqual(failure["errorType"], "Tmpdump.Network")
        return failure["message"]

    def test_prefetches(self):
        shutil.copy(self.authority, self.root / "etc" / "authority.pem")
        before = everything_in(self.root)
        self.assert_prefetches(AWS_CA_BUNDLE="/etc/authority.pem")
        self.assertEqual(set(self.server.asked), {AWS})  # "runtime.internal" stands in hosts
        self.assertEqual({path for path in everything_in(self.root) - before if not path.startswith("tmp/")}, set())

    def test_the_system_bundle_is_the_fallback(self):
        for place_of_it in ("etc/pki/tls/certs/ca-bundle.crt", "etc/ssl/certs/ca-certificates.crt", "etc/ssl/cert.pem"):
            with self.subTest(place_of_it):
                self.put(place_of_it, self.authority.read_text())
                self.assert_prefetches()
                (self.root / place_of_it).unlink()
                shutil.rmtree(self.destination)
                self.destination.mkdir()

    def test_the_machines_openssl_cnf_is_not_ours(self):
        self.put("usr/lib/ssl/openssl.cnf", HOSTILE_OPENSSL_CNF)  # where Debian's libcrypto looks
        self.put("etc/authority.pem", self.authority.read_text())
        self.assert_prefetches(AWS_CA_BUNDLE="/etc/authority.pem", OPENSSL_CONF="/usr/lib/ssl/openssl.cnf")

    def test_without_a_bundle_the_built_in_roots_count(self):
        """Each of Amazon's is trusted, and so refused only for what it is shown as; a stranger's root is not trusted."""
        stranger = self.authority.read_text()
        shown = {f"{path.stem}.test": path.read_text() for path in sorted(ROOTS.glob("*.pem"))} | {"stranger.test": stranger}
        self.assertEqual(len(shown), 6)
        started = {}
        for name, pem in shown.items():  # beside one another
            presenter = Presenter(pem)
            self.addCleanup(presenter.close)
            self.server.names[name] = "127.0.0.1"
            (self.destination / name).mkdir()
            started[name] = self.start_inside(f"https://{name}:{presenter.port}", f"/tmp/{name}")
        origin = self.start_inside(None, "/tmp")  # the whole chain, of an authority that nobody knows
        for name, running in started.items():
            with self.subTest(name):
                message = self.refusal(*running)
                if name == "stranger.test":
                    self.assertIn("self-signed certificate; set AWS_CA_BUNDLE to a PEM file with the root", message)
                else:
                    self.assertRegex(message, "hostname mismatch; it was made for another host|unsuitable certificate purpose")
        message = self.refusal(*origin)
        self.assertIn(f"TLS to https://{AWS}:443 (127.0.0.2:443): ", message)
        self.assertIn("certificate 'CN=tmpdump test server' (issued by 'CN=tmpdump test authority'): unable to get local "
                      "issuer certificate; set AWS_CA_BUNDLE to a PEM file with the root", message)
        self.assertEqual(archives.found(self.destination).keys() & self.wanted.keys(), set())


def everything_in(folder):
    return {os.path.relpath(os.path.join(parent, name), folder)
            for parent, folders, files in os.walk(folder) for name in [*folders, *files]}


if __name__ == "__main__":
    namespaces.enter(root_must=True)
    case.main()
