# SPDX-License-Identifier: Apache-2.0
"""valgrind's memcheck: no wrong touch, nothing undefined that decides, nothing lost at the end.

    memcheck.py BUILD_FOLDER VALGRIND [unittest's arguments]

Of programs with a shared libc: in a static one valgrind knows neither malloc nor the string functions.
"""
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from extension_harness import archives, case, zstd_zip  # noqa: E402
from extension_harness.api import NEXT  # noqa: E402

FOUND = 99  # the exit status when memcheck has something to say
# And what to leave out. Not "wait": it forbids itself system calls that valgrind makes. Nor "threads": ThreadSanitizer's.
CLIENT_TESTS = {"use": (), "hostile": (), "truncation": (),
                "death": ("~a forked child*",)}  # what the parent's other thread had is lost in the child
OPTIONS = ["-q", f"--error-exitcode={FOUND}", "--leak-check=full", "--errors-for-leak-kinds=definite"]
MOST_S = 300
valgrind = None


class MemcheckTest(case.ExtensionTest):
    def clean(self, *command, **variables):
        done = subprocess.run([valgrind, *OPTIONS, *command], env={**os.environ, **variables}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=MOST_S, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout

    def fetch(self, endpoint, wanted):
        settings = self.settings(None, endpoint)
        self.clean(case.build / "bin" / "tmpdump_dynamic", "fetch", settings["TMPDUMP_URI"], "--dest", self.destination,
                   **{name: value for name, value in settings.items() if name.startswith("AWS_")})
        self.assertEqual(archives.difference(archives.found(self.destination), wanted), "")

    def test_fetch(self):
        wanted = archives.entries(31, files=12, size=40_000)
        archives.write(self.archive, wanted)
        self.fetch(self.start_origin().endpoint, wanted)

    def test_fetch_over_tls_of_zstd(self):
        files = {"a.so": bytes(100_000) + b"end", "b.so": os.urandom(50_000)}
        zstd_zip.write(self.archive, files)
        authority = self.folder / "authority.pem"
        os.environ["AWS_CA_BUNDLE"] = str(authority)
        self.addCleanup(os.environ.pop, "AWS_CA_BUNDLE")
        self.fetch(self.start_origin(tls=True, ca_file=authority).endpoint,
                   {name: ("file", 0o644, content) for name, content in files.items()})

    def test_extension(self):
        """From its start to SHUTDOWN."""
        archives.write(self.archive, archives.entries(32, files=12, size=40_000))
        api = self.start_api()
        prefetch = case.Prefetch(self.settings(api, self.start_origin().endpoint), program=valgrind,
                                 arguments=[*OPTIONS, str(case.build / "bin" / "prefetch_dynamic")])
        self.addCleanup(prefetch.kill)
        prefetch.log.wait_for("tmpdump.ready", MOST_S)
        api.wait_for(NEXT, MOST_S)
        api.shut_down()
        self.assertEqual(prefetch.status(MOST_S), 0, prefetch.log.text())

    def test_client(self):
        for story, arguments in CLIENT_TESTS.items():
            with self.subTest(story):
                self.clean(case.build / "bin" / f"client_{story}_test", *arguments)

    def test_client_in_c(self):
        self.clean(case.build / "bin" / "client_c_test", case.build / "bin" / "manifest_daemon")


if __name__ == "__main__":
    valgrind = sys.argv.pop(2)
    case.main()
