# SPDX-License-Identifier: Apache-2.0
""".github/workflows: actionlint has nothing to say, every command of ours exists, and no long-lived key is asked for."""
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def actionlint(*arguments, cwd=ROOT):
    program = subprocess.run([ROOT / "tools/actionlint"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    return subprocess.run([program, "-no-color", *map(str, arguments)], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False)


class WorkflowsTest(unittest.TestCase):
    def test_actionlint(self):
        self.assertEqual([path.name for path in WORKFLOWS], ["ci.yml", "delivery.yml"])
        done = actionlint(*WORKFLOWS)
        self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_actionlint_would_notice(self):
        with tempfile.TemporaryDirectory() as folder:
            wrong = Path(folder) / "delivery.yml"
            wrong.write_text((ROOT / ".github/workflows/delivery.yml").read_text().replace("needs: ci", "needs: see-eye"))
            done = actionlint(wrong)
            self.assertEqual(done.returncode, 1)
            self.assertIn("see-eye", done.stdout)

    def test_commands_exist(self):
        usage = subprocess.run([ROOT / "dev"], check=True, stdout=subprocess.PIPE, text=True).stdout
        verbs = set(re.findall(r"^  (\w+)", usage, re.MULTILINE))
        for path in WORKFLOWS:
            for verb in re.findall(r"\bdev (\w+)", re.sub(r"#.*", "", path.read_text())):
                self.assertIn(verb, verbs, path.name)

    def test_no_long_lived_keys(self):
        for path in WORKFLOWS:
            text = path.read_text()
            self.assertNotRegex(text, r"(?i)aws_?(access_key|secret)|secrets\.(?!GITHUB_TOKEN)")
        self.assertIn("id-token: write", text)


if __name__ == "__main__":
    unittest.main(verbosity=2)
