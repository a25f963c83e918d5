# SPDX-License-Identifier: Apache-2.0
""".github/workflows: actionlint has nothing to say, every command of ours exists, what a delivery promises is in it, and no
long-lived key is asked for.
"""
import os
import re
import subprocess
import tempfile
import textwrap
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))

# By workflow and job: lines, from their begin on, that it cannot do without.
WANTED = {
    ("ci.yml", "test"): ("- run: ./dev test", "- run: ./dev layer ${{ github.event_name != 'pull_request' && '--locked'", "name: layer",
                         "if: steps.cache.outputs.cache-matched-key != ''", "- run: echo \"BEGIN=", "- run: echo \"MINUTES="),
    ("ci.yml", "check"): ("- run: ./dev check", "- run: ./dev fuzz smoke 120"),
    ("ci.yml", "nightly"): ("if: github.event_name == 'schedule'", "- run: ./dev test --nightly"),
    ("ci.yml", "arm64"): ("- run: ./dev arm64",),
    # A cache of what was compiled would make the second layer out of the first.
    ("ci.yml", "reproducible"): ("if: github.event_name == 'schedule'", "CCACHE_DISABLE: '1'", "- run: one/dev layer",
                                 "- run: another/place/dev layer",
                                 "- run: cmp one/build/layer/SHA256SUMS another/place/build/layer/SHA256SUMS"),
    ("delivery.yml", "ci"): ("uses: ./.github/workflows/ci.yml",),
    ("delivery.yml", "deploy"): ("needs: ci", "environment: production", "id-token: write",
                                 "run: cd build/layer && sha256sum --check --strict SHA256SUMS",
                                 "- uses: aws-actions/configure-aws-credentials@", "role-to-assume: ${{ vars.AWS_ROLE_ARN }}",
                                 "aws cloudformation package --template-file cfn-deploy.yml",
                                 "aws cloudformation deploy --template-file build/layer/deploy.yml"),
    ("delivery.yml", "release"): ("needs: ci", "id-token: write", "attestations: write",
                                  'run: test "$GITHUB_REF_NAME" = "v$(cat layer/VERSION)" && cd layer && sha256sum --check --strict',
                                  "- uses: actions/attest-build-provenance@", "subject-path: |",
                                  "layer/*.zip layer/*.spdx.json layer/SHA256SUMS"),
}
MOST_MINUTES = 150  # of what a pull request waits for when nothing is cached
PROMISED_MINUTES = 40  # of ./dev test with a cache
# Majors whose action.yml says node24, or that wrap one that does: Node 20 left GitHub's runners on 2026-09-16.
OLDEST = {"actions/checkout": 6, "actions/cache": 5, "actions/upload-artifact": 6, "actions/download-artifact": 7,
          "aws-actions/configure-aws-credentials": 6, "actions/attest-build-provenance": 4}


def jobs_of(text):
    """{name: its lines, without comments}"""
    text = re.sub(r"(^| )#.*", "", text, flags=re.MULTILINE)
    return dict(re.findall(r"^  ([\w-]+):\n((?:    .*\n|\s*\n)+)", text[text.index("\njobs:"):], re.MULTILINE))


def missing(job, wanted):
    lines = [line.strip() for line in job.split("\n")]
    return [words for words in wanted if not any(line.startswith(words) for line in lines)]


def too_old(text):
    """Of each action that is not ours: those below OLDEST, and those that it does not know."""
    for used in re.findall(r"\buses: (?!\./)(\S+)", text):
        name, major = re.fullmatch(r"([\w.-]+/[\w.-]+)(?:/[\w./-]+)?@v(\d+)", used).groups()
        if int(major) < OLDEST.get(name, float("inf")):
            yield used


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

    def test_each_job_does_what_it_is_for(self):
        jobs = {(path.name, name): job for path in WORKFLOWS for name, job in jobs_of(path.read_text()).items()}
        self.assertEqual(set(jobs), set(WANTED))
        for place, wanted in WANTED.items():
            with self.subTest(place):
                self.assertEqual(missing(jobs[place], wanted), [])
                for words in wanted:  # and it would be noticed
                    without = "\n".join(line for line in jobs[place].split("\n") if not line.strip().startswith(words))
                    self.assertIn(words, missing(without, wanted))

    def test_each_night(self):
        text = (ROOT / ".github/workflows/ci.yml").read_text()
        self.assertRegex(text, r"\n  schedule:\n    - cron: ")

    def test_a_tag_is_delivered_beside_main(self):
        """GitHub keeps one pending run a group: a tag that waited in main's would be cancelled by the next merge, silently."""
        text = (ROOT / ".github/workflows/delivery.yml").read_text()
        group, cancel = re.search(r"^concurrency:\n  group: (.*)\n  cancel-in-progress: (.*)$", text, re.MULTILINE).groups()
        self.assertIn("${{ github.ref }}", group)
        self.assertEqual(cancel, "false")

    def test_a_pull_request_does_not_wait_for_long(self):
        for name, job in jobs_of((ROOT / ".github/workflows/ci.yml").read_text()).items():
            minutes = int(re.search(r"^    timeout-minutes: (\d+)", job, re.MULTILINE)[1])
            with self.subTest(name):
                self.assertTrue(minutes <= MOST_MINUTES or re.search(r"^    if: github.event_name [!=]= '(schedule|pull_request)'$", job,
                                                                     re.MULTILINE))

    def test_a_cache_keeps_the_promise_or_says_so(self):
        """The job's last step, as the runner's shell has it."""
        job = jobs_of((ROOT / ".github/workflows/ci.yml").read_text())["test"]
        step = job[job.rindex("\n      - "):]
        self.assertIn("if: steps.cache.outputs.cache-matched-key != ''", step)
        script = textwrap.dedent(step.split("run: |\n")[1])
        for minutes, status in ((PROMISED_MINUTES, 0), (PROMISED_MINUTES + 1, 1)):
            done = subprocess.run(["sh", "-e", "-c", script], env=os.environ | {"MINUTES": str(minutes)}, stdout=subprocess.PIPE,
                                  text=True, check=False)
            self.assertEqual(done.returncode, status, done.stdout)
            self.assertEqual(done.stdout.startswith(f"::error::./dev test and ./dev layer took {minutes} minutes"), status == 1, done.stdout)

    def test_actions_run_on_what_runners_have(self):
        for path in WORKFLOWS:
            self.assertEqual(list(too_old(path.read_text())), [], path.name)
        self.assertEqual(list(too_old("- uses: actions/checkout@v4\n- uses: actions/cache/save@v5\n- uses: some/other@v9\n"
                                      "  uses: ./.github/workflows/ci.yml\n")), ["actions/checkout@v4", "some/other@v9"])

    def test_what_a_release_holds_is_attested(self):
        job = jobs_of((ROOT / ".github/workflows/delivery.yml").read_text())["release"]
        attested = re.search(r"subject-path: \|\n((?: +layer/\S+\n)+)", job)[1].split()
        self.assertIn("layer/SHA256SUMS", attested)  # what the README verifies, for all others
        self.assertEqual(re.search(r"gh release create(?:.*\n)+? +(layer/.*)\n", job)[1].split(), attested)

    def test_no_long_lived_keys(self):
        for path in WORKFLOWS:
            text = path.read_text()
            self.assertNotRegex(text, r"(?i)aws_?(access_key|secret)|secrets\.(?!GITHUB_TOKEN)")
        self.assertIn("id-token: write", text)


if __name__ == "__main__":
    unittest.main(verbosity=2)
