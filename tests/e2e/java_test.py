# SPDX-License-Identifier: Apache-2.0
"""The main job: a Java function whose native libraries are in the tmpdump alone calls into them."""
import json
import shutil
import subprocess
import sys
from pathlib import Path

from emulator import case, programs
from emulator.case import EXTENSION_NEXT, INIT_DONE, REGISTERS, RUNTIME_STARTS

def sum_of_product():
    """What java-function's Product multiplies, column sums of a with row sums of b."""
    size = 200
    columns = [sum((row + k) % 7 for row in range(size)) for k in range(size)]
    rows = [sum((k * column) % 5 for column in range(size)) for k in range(size)]
    return sum(a * b for a, b in zip(columns, rows))


archive = None


def prepare(_):
    """Before the namespaces, where Maven's mirror can be reached; once."""
    global archive
    programs.tool("java-function")
    done = subprocess.run([sys.executable, programs.ROOT / "bench" / "workloads.py", "--path", "openblas"],
                          stdout=subprocess.PIPE, text=True, check=True)
    archive = Path(done.stdout.strip())


class JavaTest(case.LambdaTest):
    def test_multiplies_with_prefetched_openblas(self):
        shutil.copy(archive, self.bucket / "function.zip")
        endpoint = self.start_origin(total_mbps=200)  # 15 MB: 0.6 s, so that the runtime's start falls into them
        sandbox = self.start_function(programs.java(case.programs), endpoint)
        answer = sandbox.invoke()
        self.assertEqual(answer.status, 200, sandbox.log.text())
        said = json.loads(answer.body)
        self.assertEqual(said["sum"], sum_of_product(), said)
        self.assertIn("/tmp/lib/libopenblas.so.0", said["native"])
        # JavaCPP copies OpenBLAS's second name into its cache; nothing comes from the system.
        self.assertTrue(all(path.startswith(("/tmp/lib/", "/tmp/.javacpp/")) for path in said["native"]), said)
        # The runtime started while the prefetch ran, INIT waited for the extension's next.
        self.assert_in_order(sandbox.log, REGISTERS, RUNTIME_STARTS, EXTENSION_NEXT, INIT_DONE)
        self.assertEqual(json.loads(sandbox.invoke().body)["sum"], sum_of_product())
        self.assert_ends_cleanly(sandbox)

    def test_no_archive(self):
        sandbox = self.start_function(programs.java(case.programs), self.start_origin())
        answer = sandbox.invoke()
        self.assertEqual(answer.status, 200, sandbox.log.text())
        said = json.loads(answer.body)
        self.assertEqual(said["code"], case.FAILED)
        self.assertIn("function.zip", said["error"])


if __name__ == "__main__":
    case.main()
