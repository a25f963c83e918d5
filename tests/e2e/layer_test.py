# SPDX-License-Identifier: Apache-2.0
"""The layer that was built, unpacked to /opt as Lambda does, and the functions of examples/ that have nothing else.

Their code and their variables are read from the templates; the library is examples/example.c.
"""
import atexit
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

from emulator import case, programs
from emulator.case import INIT_DONE, REGISTERS, RUNTIME_NEXT, RUNTIME_STARTS
from emulator.origin import BUCKET
from emulator.programs import HERE, ROOT, Function

EXAMPLES = ROOT / "examples"
ARCHITECTURE = "arm64" if os.uname().machine == "aarch64" else os.uname().machine
FUNCTION_NAME = "test_function"  # the emulator's own
ANSWER = 42

scratch = None


def prepare(_):
    """Before the namespaces, where Maven's mirror can be reached; the folder goes with the process inside."""
    global scratch
    programs.tool("java-function")
    if "TMPDUMP_E2E_SCRATCH" in os.environ:
        scratch = Path(os.environ["TMPDUMP_E2E_SCRATCH"])
        atexit.register(shutil.rmtree, scratch)
        return
    scratch = Path(tempfile.mkdtemp(prefix="tmpdump-e2e-layer-"))
    os.environ["TMPDUMP_E2E_SCRATCH"] = str(scratch)
    (scratch / "lib").mkdir()
    subprocess.run(["cc", "-shared", "-fPIC", "-o", scratch / "lib/libexample.so", EXAMPLES / "example.c"], check=True)
    jars = ":".join(str(path) for path in (programs.tool("java-function") / "lib").iterdir())
    subprocess.run(["javac", "--release", "17", "-cp", jars, "-d", scratch / "classes",
                    EXAMPLES / "java-snapstart/src/example/Handler.java"], check=True)
    subprocess.run(["jar", "cf", scratch / "function.jar", "-C", scratch / "classes", "."], check=True)


def variables(example):
    """The function's Environment in the template, with the parameters' values."""
    text = (EXAMPLES / example / "template.yml").read_text()
    block = re.search(r"^( *)Variables:\n((?:\1 +.*\n)+)", text, re.MULTILINE)[2]
    found = dict(re.match(r" *(\w+): (.*)", line).groups() for line in block.splitlines())
    return {name: {"!Ref TmpdumpBucket": BUCKET}.get(value, value) for name, value in found.items()}


class LayerTest(case.LambdaTest):
    def start(self, example, function, snap_start=False):
        archive = self.bucket / "tmpdump" / f"{FUNCTION_NAME}.zip"
        archive.parent.mkdir()
        subprocess.run([case.programs.extension.parent / "tmpdump", "pack", "-q", scratch / "lib", "-o", archive], check=True)
        settings = variables(example) if example else {"TMPDUMP_BUCKET": BUCKET, "AWS_LAMBDA_EXEC_WRAPPER": "/opt/tmpdump/exec-wrapper"}
        # The emulator leaves the wrapper to the image's bootstrap.
        wrapped = programs.wrapped(function, settings.pop("AWS_LAMBDA_EXEC_WRAPPER"))
        layer = case.programs.extension.parents[1] / "layer" / f"tmpdump-{ARCHITECTURE}.zip"
        return self.start_function(wrapped, self.start_origin(), snap_start, layer, TMPDUMP_URI=None, **settings)

    def assert_answers(self, sandbox, expected):
        answer = sandbox.invoke()
        self.assertEqual((answer.status, json.loads(answer.body)), (200, expected), sandbox.log.text())
        self.assert_in_order(sandbox.log, REGISTERS, RUNTIME_STARTS, RUNTIME_NEXT, INIT_DONE)
        ready, = sandbox.log.objects("tmpdump.ready")
        self.assertEqual((ready["uri"], ready["files"]), (f"s3://{BUCKET}/tmpdump/{FUNCTION_NAME}.zip", 1))
        self.assert_ends_cleanly(sandbox)

    def python(self, code):
        (scratch / "index.py").write_text(code)
        function = programs.python()
        command = [function.command[0], "-IS", "/var/runtime/runtime.py"]
        return Function(function.language_home, command, {"runtime/runtime.py": HERE / "python-function/runtime.py",
                                                          "task/index.py": scratch / "index.py"}, {"_HANDLER": "index.handler"})

    def test_python_example(self):
        text = (EXAMPLES / "python/template.yml").read_text()
        code = textwrap.dedent(re.search(r"ZipFile: \|\n((?: {10}.*\n|\n)+)", text)[1])
        self.assert_answers(self.start("python", self.python(code)), {"answer": ANSWER})

    def test_container_example(self):
        code = (EXAMPLES / "container/index.py").read_text()
        self.assert_answers(self.start(None, self.python(code)), {"answer": ANSWER})

    def test_java_snapstart_example(self):
        home = Path(shutil.which("java")).resolve().parents[1]
        function = programs.java_runtime(home, "example.Handler")
        del function.variables["JAVA_TOOL_OPTIONS"]  # the template sets none
        function.files["task/lib/function.jar"] = scratch / "function.jar"
        self.assert_answers(self.start("java-snapstart", function, snap_start=True), ANSWER)

    def test_the_programs_of_the_layer(self):
        """tmpdump is on PATH in a function, and sees what the extension brought."""
        sandbox = self.start("python", self.python("import subprocess\ndef handler(event, context):\n"
                                                   "    return subprocess.run(['tmpdump', 'status', '--json'], capture_output=True, text=True).stdout\n"))
        answer = sandbox.invoke()
        self.assertEqual(answer.status, 200, sandbox.log.text())
        self.assertEqual(json.loads(json.loads(answer.body))["state"], "ready")


if __name__ == "__main__":
    case.main()
