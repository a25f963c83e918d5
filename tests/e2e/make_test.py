# SPDX-License-Identifier: Apache-2.0
"""README's "Make a tmpdump", line by line, on examples/java-opencv as Maven builds it; then the function starts from what
was made, with nothing native left in its jar.
"""
import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest
import zipfile
from pathlib import Path

from emulator import case, manifest, programs
from emulator.case import EXTENSION_NEXT, RUNTIME_NEXT, RUNTIME_STARTS
from emulator.origin import ACCESS_KEY, REGION, SECRET_KEY, Origin

HEADING = "## Make a tmpdump"
ANSWER = {"pixels": 6400, "dot": 333300}  # 80 x 80 pixels, the dot product of 0..99 and 1..100
BUCKET, FUNCTION = "my-bucket", "my-function"  # as README calls them
PATIENCE_S = 150

jar = None


def prepare(_):
    """Before the namespaces, where Maven's and PyPI's mirrors can be reached; once."""
    global jar
    jar = programs.tool("java-opencv")
    programs.tool("java-function")
    programs.tool("python-venv")


def commands():
    """The section's first two blocks, recording and what follows from the record, without their comments."""
    text = (programs.ROOT / "README.md").read_text()
    blocks = re.findall(r"^```sh[^\n]*\n(.*?)^```$", text[text.index(HEADING):], re.MULTILINE | re.DOTALL)[:2]
    return [line.split("   #")[0].strip() for block in blocks for line in block.splitlines()]


def moved_function():
    """The wrapper and the bucket's variable of a function of the original layer: README's diff, before."""
    diff, = re.findall(r"^```diff\n(.*?)^```$", (programs.ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    before = dict(re.findall(r"^- +(\w+): (\S+)$", diff, re.MULTILINE))
    bucket, = [name for name, value in before.items() if value == BUCKET]
    return before["AWS_LAMBDA_EXEC_WRAPPER"], bucket


class MakeTest(case.LambdaTest):
    def setUp(self):
        super().setUp()
        self.folder = Path(tempfile.mkdtemp(prefix="tmpdump-make-"))
        self.addCleanup(shutil.rmtree, self.folder)
        shutil.copy(jar, self.folder / "app.jar")
        self.origin = Origin(case.programs.origin)  # keeps what is uploaded
        self.addCleanup(self.origin.close)
        (self.folder / ".aws").mkdir()  # the origin takes an object in one request
        (self.folder / ".aws" / "config").write_text("[default]\ns3 =\n    multipart_threshold = 1GB\n")
        path = f"{case.programs.build / 'bin'}:{programs.tool('python-venv').parent}:{os.environ['PATH']}"
        self.environment = {
            "PATH": path, "HOME": str(self.folder), "LANG": "C.UTF-8", "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY, "AWS_DEFAULT_REGION": REGION, "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL_S3": self.origin.endpoint,
            # The Java of a build machine takes its user's folder from the system's list of users.
            "JAVA_TOOL_OPTIONS": f"-Duser.home={self.folder}"}

    def run_line(self, line):
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", line], cwd=self.folder, env=self.environment,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.assertEqual(done.returncode, 0, f"{line}\n{done.stdout}")
        return done.stdout

    def entries(self, name):
        with zipfile.ZipFile(self.folder / name) as archive:
            return archive.namelist()

    def start(self, wrapper, bucket_variable):
        function = programs.java_runtime(Path(shutil.which("java")).resolve().parents[1], "example.Function")
        runtime = {place: source for place, source in function.files.items() if place.startswith("runtime/")}
        function.files = {**runtime, "task/lib/app.jar": self.folder / "app.jar"}
        # As on Lambda, no home that JavaCPP could write to; nothing else is set for it.
        function.variables["JAVA_TOOL_OPTIONS"] = "-Duser.home=/proc/nowhere"
        return self.start_function(programs.wrapped(function, wrapper), self.origin.endpoint, TMPDUMP_URI=None,
                                   AWS_LAMBDA_FUNCTION_NAME=FUNCTION, **{bucket_variable: BUCKET})

    def test_the_three_commands_and_a_jar_without_natives(self):
        self.run_line(f"aws s3 mb s3://{BUCKET}")
        record, pack, upload, strip = commands()
        self.assertEqual([record.split()[0], *pack.split()[:2], *upload.split()[:3], *strip.split()[:2]],
                         ["java", "tmpdump", "pack", "aws", "s3", "cp", "tmpdump", "strip-jar"])
        self.assertEqual(json.loads(self.run_line(record).splitlines()[-1]), ANSWER)
        # Level 19 takes a minute more of two cores, and changes nothing of what follows.
        said = self.run_line(pack if os.environ.get("TMPDUMP_NIGHTLY") else pack.replace(" pack ", " pack --fast "))
        self.assertIn("loaded, as the log shows, by the class:", said)
        packed = self.entries("tmpdump.zip")
        self.assertTrue({"lib/libopenblas.so.0", "lib/libjniopencv_core.so"} <= set(packed), packed)
        self.assertNotIn("lib/libjniopencv_face.so", packed)  # the jar has it, the application does not load it
        self.run_line(upload)
        self.run_line(strip)
        self.assertEqual([name for name in self.entries("app.jar") if ".so" in name], [])

        # As README has it, and with nothing changed in a function of the original layer but the layer.
        for names in (("/opt/tmpdump/exec-wrapper", "TMPDUMP_BUCKET"), moved_function()):
            with self.subTest(names):
                self.answers(self.start(*names))

    def answers(self, sandbox):
        answer = sandbox.invoke(deadline_s=PATIENCE_S)
        self.assertEqual((answer.status, json.loads(answer.body)), (200, ANSWER), sandbox.log.text())
        self.assert_in_order(sandbox.log, RUNTIME_STARTS, RUNTIME_NEXT)
        self.assert_in_order(sandbox.log, RUNTIME_STARTS, EXTENSION_NEXT)
        waited = {entry.path for entry in manifest.read(sandbox.tmp / ".tmpdump" / "manifest").entries if entry.first_wait}
        self.assertLessEqual({"lib/libopenblas.so.0", "lib/libjniopencv_core.so"}, waited)
        self.assert_ends_cleanly(sandbox)


if __name__ == "__main__":
    case.main()
