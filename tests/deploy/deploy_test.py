# SPDX-License-Identifier: Apache-2.0
"""cfn-deploy.yml as the delivery uses it: linted, packaged and deployed with the aws CLI into moto's AWS on loopback.

    deploy_test.py BUILD_FOLDER [unittest's arguments]      (BUILD_FOLDER/layer has the layers; tools/layer)
"""
import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
REGION, BUCKET = "eu-central-1", "artifacts"
ARCHITECTURES = ("x86_64", "arm64")
MOST_S = 120

build = tools = server = None


def environment():
    """Nothing of whoever runs this: neither an account nor a profile."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return kept | {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": REGION,
                   "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_PAGER": "",
                   "AWS_ENDPOINT_URL": server or "", "no_proxy": "127.0.0.1"}


def run(program, *arguments, cwd=None, status=0):
    done = subprocess.run([tools / program, *map(str, arguments)], cwd=cwd, env=environment(), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=MOST_S, check=False)
    if done.returncode != status:
        raise AssertionError(f"{program} {' '.join(map(str, arguments))} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


def aws(*arguments, **more):
    return run("aws", *arguments, **more)


def git(*arguments):
    return subprocess.run(["git", "rev-parse", *arguments], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def asked(*arguments):
    return json.loads(aws(*arguments, "--output", "json"))


class TemplateTest(unittest.TestCase):
    def test_cfn_lint_has_nothing_to_say(self):
        templates = [ROOT / "cfn-deploy.yml", *sorted((ROOT / "examples").glob("*/template.yml"))]
        self.assertGreaterEqual(len(templates), 3)
        for template in templates:
            with self.subTest(template.relative_to(ROOT)):
                self.assertEqual(run("cfn-lint", "--", template), "")

    def test_what_functions_use_is_never_taken_from_them(self):
        text = (ROOT / "cfn-deploy.yml").read_text()
        resources = re.findall(r"^  (\w+):\n    Type: (\S+)\n((?:    .*\n|\n)*)", text[text.index("\nResources:"):], re.MULTILINE)
        kept = {name: body for name, kind, body in resources if kind.startswith("AWS::Lambda::LayerVersion")}
        self.assertEqual(len(kept), 4, resources)
        for name, body in kept.items():
            with self.subTest(name):
                self.assertIn("    DeletionPolicy: Retain\n", body)
                self.assertIn("    UpdateReplacePolicy: Retain\n", body)

    def test_cfn_lint_would_notice(self):
        with tempfile.TemporaryDirectory() as folder:
            wrong = Path(folder) / "wrong.yml"
            wrong.write_text((ROOT / "cfn-deploy.yml").read_text().replace("- java25", "- java26"))
            self.assertIn("'java26' is not one of", run("cfn-lint", "--", wrong, status=4))


class ImageTest(unittest.TestCase):
    """The container image's Dockerfile: this machine has no Docker, but its linter, and the files that it copies."""

    dockerfile = ROOT / "examples/container/Dockerfile"

    def test_hadolint_has_nothing_to_say(self):
        self.assertEqual(run("hadolint", "--no-color", self.dockerfile), "")

    def test_hadolint_would_notice(self):
        with tempfile.TemporaryDirectory() as folder:
            wrong = Path(folder) / "Dockerfile"
            wrong.write_text(self.dockerfile.read_text().replace("--from=layer", "--from=lair"))
            self.assertIn("DL3022", run("hadolint", "--no-color", wrong, status=1))

    def test_what_it_copies_and_names_is_there(self):
        text = self.dockerfile.read_text()
        copied = re.findall(r"^COPY (?!--from)(\S+) ", text, re.MULTILINE)
        self.assertEqual(copied, ["tmpdump-x86_64.zip", "index.py"])
        for name in copied:
            self.assertTrue((build / "layer" / name).exists() or (self.dockerfile.parent / name).exists(), name)
        wrapper = re.search(r"^ENV AWS_LAMBDA_EXEC_WRAPPER=/opt/(\S+)$", text, re.MULTILINE)[1]
        module, function = re.search(r'^CMD \["(\w+)\.(\w+)"\]$', text, re.MULTILINE).groups()
        with zipfile.ZipFile(build / "layer/tmpdump-x86_64.zip") as layer:
            self.assertIn(wrapper, layer.namelist())
        self.assertIn(f"\ndef {function}(event, context):", (self.dockerfile.parent / f"{module}.py").read_text())


class PartsTest(unittest.TestCase):
    """The lists of parts, as the standard's own library reads them."""

    def test_are_spdx(self):
        for architecture in ARCHITECTURES:
            with self.subTest(architecture):
                run("pyspdxtools", "--infile", build / "layer" / f"tmpdump-{architecture}.spdx.json")


class DeployTest(unittest.TestCase):
    """`name` is the stack's and the layers': stories do not see one another."""

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="tmpdump-deploy-"))
        self.addCleanup(shutil.rmtree, self.folder)
        shutil.copy(ROOT / "cfn-deploy.yml", self.folder)
        (self.folder / "build/layer").mkdir(parents=True)
        self.name = "tmpdump-" + re.sub("[^a-z]", "-", self._testMethodName.removeprefix("test_"))
        for architecture in ARCHITECTURES:
            shutil.copy(build / "layer" / f"tmpdump-{architecture}.zip", self.layer(architecture))
        shutil.copy(build / "layer/VERSION", self.folder / "build/layer")

    def layer(self, architecture):
        return self.folder / f"build/layer/tmpdump-{architecture}.zip"

    def deploy(self, build_id, **parameters):
        """As .github/workflows/delivery.yml; returns what `package` made of the layers' Content."""
        packaged = self.folder / "build/layer/deploy.yml"
        aws("cloudformation", "package", "--template-file", "cfn-deploy.yml", "--s3-bucket", BUCKET,
            "--output-template-file", packaged, cwd=self.folder)
        settings = {"BuildId": build_id, "Version": "1.2.3", "LayerName": self.name, "SsmPrefix": f"/{self.name}/layer"}
        aws("cloudformation", "deploy", "--template-file", packaged, "--stack-name", self.name,
            "--no-fail-on-empty-changeset", "--parameter-overrides",
            *(f"{name}={value}" for name, value in (settings | parameters).items()))
        return packaged

    def arn(self, architecture):
        return asked("ssm", "get-parameter", "--name", f"/{self.name}/layer/{architecture}/arn")["Parameter"]["Value"]

    def versions(self, architecture):
        found = asked("lambda", "list-layer-versions", "--layer-name", f"{self.name}-{architecture}")["LayerVersions"]
        return sorted(version["Version"] for version in found)

    def outputs(self):
        stack, = asked("cloudformation", "describe-stacks", "--stack-name", self.name)["Stacks"]
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    def assert_published(self, architecture, version, build_id):
        """Version number `version` is the newest, and holds the file's bytes: as Lambda counts, and read back from S3."""
        arn = self.arn(architecture)
        self.assertEqual(arn, f"arn:aws:lambda:{REGION}:123456789012:layer:{self.name}-{architecture}:{version}")
        found = asked("lambda", "get-layer-version", "--layer-name", f"{self.name}-{architecture}",
                      "--version-number", version)
        content = self.layer(architecture).read_bytes()
        digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
        self.assertEqual((found["Content"]["CodeSize"], found["Content"]["CodeSha256"]), (len(content), digest))
        self.assertEqual(found["LicenseInfo"], "Apache-2.0")
        self.assertEqual(found["CompatibleArchitectures"], [architecture])
        self.assertLessEqual({"java25", "java17.al2023", "python3.14", "nodejs24.x", "provided.al2023"}, set(found["CompatibleRuntimes"]))
        self.assertLessEqual(len(found["CompatibleRuntimes"]), 15)
        self.assertIn(f"tmpdump 1.2.3 for {architecture} (build {build_id})", found["Description"])

    def assert_in_s3(self, packaged, architecture):
        text = packaged.read_text()
        keys = dict(zip(("x86_64", "arm64"), re.findall(r"S3Key: (\S+)", text)))
        read_back = self.folder / f"read-back-{architecture}.zip"
        aws("s3", "cp", "--only-show-errors", f"s3://{BUCKET}/{keys[architecture]}", read_back)
        self.assertEqual(read_back.read_bytes(), self.layer(architecture).read_bytes())

    def test_deploys_and_updates(self):
        packaged = self.deploy("first")
        for architecture in ARCHITECTURES:
            self.assert_published(architecture, 1, "first")
            self.assert_in_s3(packaged, architecture)
        with zipfile.ZipFile(self.layer("x86_64"), "a") as archive:
            archive.writestr("changed", "by the next merge")
        packaged = self.deploy("second")
        for architecture in ARCHITECTURES:
            self.assert_published(architecture, 2, "second")
            self.assert_in_s3(packaged, architecture)
            self.assertEqual(self.versions(architecture), [1, 2])  # functions that name the first one keep it
        self.assertEqual(self.outputs(), {
            "LayerX8664Arn": self.arn("x86_64"), "LayerArm64Arn": self.arn("arm64"),
            "ParameterX8664": f"/{self.name}/layer/x86_64/arn", "ParameterArm64": f"/{self.name}/layer/arm64/arn"})
        exports = {export["Name"]: export["Value"] for export in asked("cloudformation", "list-exports")["Exports"]}
        self.assertEqual(exports[f"{self.name}-x86-64-arn"], self.arn("x86_64"))
        self.deploy("second")  # the same once more
        self.assertEqual(self.versions("x86_64"), [1, 2])

    def test_the_readmes_commands(self):
        """As they stand there, but that the layers are made already; with the stack's and the parameters' own names."""
        block, = re.findall(r"^```sh deploy\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
        first, rest = block.split("\n", maxsplit=1)
        self.assertRegex(first, r"^\./dev layer +#")
        settings = environment() | {"PATH": f"{tools}:{os.environ['PATH']}", "BUCKET": BUCKET, "GIT_DIR": git("--absolute-git-dir")}
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", rest], cwd=self.folder, env=settings, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=MOST_S, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertEqual(done.stdout.splitlines()[-1], f"arn:aws:lambda:{REGION}:123456789012:layer:tmpdump-x86_64:1")
        found = asked("lambda", "get-layer-version", "--layer-name", "tmpdump-x86_64", "--version-number", 1)
        version = (build / "layer/VERSION").read_text().strip()
        self.assertIn(f"tmpdump {version} for x86_64 (build {git('--short=12', 'HEAD')})", found["Description"])

    def test_one_architecture(self):
        self.deploy("only", Architectures="x86_64")
        self.assert_published("x86_64", 1, "only")
        self.assertEqual(self.versions("arm64"), [])
        self.assertEqual(set(self.outputs()), {"LayerX8664Arn", "ParameterX8664"})

    def test_without_its_policies_a_version_would_be_taken_from_functions(self):
        """So that what test_deploys_and_updates and test_a_shared_version_stays_shared see is the template's doing."""
        template = self.folder / "cfn-deploy.yml"
        text = template.read_text()
        for kind, kept in (("LayerVersionPermission", [1, 2]), ("LayerVersion", [2])):
            with self.subTest(kind):
                self.name = f"tmpdump-without-{kind.lower()}"
                template.write_text(re.sub(rf"(    Type: AWS::Lambda::{kind}\n(?:    .*\n)*?)    UpdateReplacePolicy: Retain\n", r"\1", text))
                self.assertEqual(template.read_text().count("UpdateReplacePolicy"), 2)
                self.deploy("first", SharedWith="everyone")
                self.deploy("second", SharedWith="everyone")
                self.assertEqual(self.versions("x86_64"), kept)
                with self.assertRaisesRegex(AssertionError, "ResourceNotFoundException"):
                    self.policy("x86_64")
                self.policy("x86_64", version=2)

    def test_a_shared_version_stays_shared(self):
        self.deploy("first", SharedWith="everyone")
        self.deploy("second", SharedWith="everyone")
        for version in (1, 2):
            self.assertEqual(self.policy("x86_64", version)["Principal"], "*")

    def policy(self, architecture, version=1):
        answer = asked("lambda", "get-layer-version-policy", "--layer-name", f"{self.name}-{architecture}",
                       "--version-number", version)
        statement, = json.loads(answer["Policy"])["Statement"]
        return statement

    def test_shared_with_an_organization(self):
        self.deploy("only", SharedWith="organization", OrganizationId="o-abcde12345")
        for architecture in ARCHITECTURES:
            statement = self.policy(architecture)
            self.assertEqual((statement["Action"], statement["Principal"]), ("lambda:GetLayerVersion", "*"))
            self.assertIn("o-abcde12345", json.dumps(statement["Condition"]))

    def test_shared_with_everyone(self):
        self.deploy("only", SharedWith="everyone")
        statement = self.policy("x86_64")
        self.assertEqual((statement["Action"], statement["Principal"]), ("lambda:GetLayerVersion", "*"))
        self.assertNotIn("Condition", statement)

    def test_shared_with_nobody(self):
        self.deploy("only")
        aws("lambda", "get-layer-version-policy", "--layer-name", f"{self.name}-x86_64", "--version-number", 1, status=255)


def main():
    global build, tools, server
    build = Path(sys.argv[1]).resolve()
    done = subprocess.run([ROOT / "tools/python-venv", "deploy"], stdout=subprocess.PIPE, text=True, check=True)
    python = Path(done.stdout.strip())
    tools = python.parent
    with subprocess.Popen([python, HERE / "moto_server.py"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as moto:
        try:
            server = moto.stdout.readline().strip()
            if not server:
                raise SystemExit("deploy_test.py: moto's server did not start (above)")
            aws("s3", "mb", f"s3://{BUCKET}")
            unittest.main(argv=[sys.argv[0], *sys.argv[2:]], verbosity=2)
        finally:
            moto.terminate()


if __name__ == "__main__":
    main()
