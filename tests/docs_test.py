# SPDX-License-Identifier: Apache-2.0
"""What the documents say is so: links, paths and commands exist, variables, options and error texts are the code's, code
compiles, marked commands run.

    docs_test.py BUILD_FOLDER [unittest's arguments]

A fenced block that opens with "```sh run" is run by bash, in a folder that has lib/ (libraries), app.jar (a jar of JavaCPP's
kind), classpath.txt (that jar) and debug.log (a log that loads from it), beside an S3 with an empty bucket my-bucket. One
with "```sh deploy" is run by tests/deploy.
"""
import ast
import fnmatch
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
ROOT = HERE.parent
sys.path.insert(0, str(HERE / "e2e"))
from emulator.origin import ACCESS_KEY, REGION, SECRET_KEY, Origin  # noqa: E402

MOST_S = 120
RUN, DEPLOY = "sh run", "sh deploy"
build = None


def tracked(*patterns):
    done = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *patterns], cwd=ROOT,
                          stdout=subprocess.PIPE, text=True, check=True)
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def documents():
    return [path for path in tracked("*.md") if "results" not in path.parts]


def blocks(text):
    """(what stands behind the opening fence, content) of each fenced block."""
    return re.findall(r"^```([^\n]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def without_blocks(text):
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(text):
    """Of headings, as GitHub makes them."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
            for heading in re.findall(r"^#+ +(.+?) *$", without_blocks(text), re.MULTILINE)}


def broken_links(path, text):
    for target in re.findall(r"\]\(([^)\s]+)\)", without_blocks(text)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = path.parent / name if name else path
        if not file.exists():
            yield f"{target}: no such file"
        elif anchor and anchor not in anchors(text if file == path else file.read_text()):
            yield f"{target}: no such heading"


def missing_paths(text):
    """Of words like `tests/e2e` and `tools/layer`: what begins with a folder of ours is there, `*` and `{a,b}` included."""
    folders = "|".join(sorted(path.name for path in ROOT.iterdir() if path.is_dir() and path.name not in ("build", ".git")))
    for word in re.findall(rf"`((?:{folders})/[\w./*{{}},-]*)`", text):
        if re.search(r"/[A-Z]+(/|$)", word):
            continue  # stands for any name
        names = [word]
        while any("{" in name for name in names):
            names = [re.sub(r"\{[^{}]*\}", choice, name, count=1) for name in names
                     for choice in re.search(r"\{([^{}]*)\}", name)[1].split(",")]
        for name in names:
            if not any(True for _ in ROOT.glob(name.rstrip("/"))):
                yield name


def unknown_tests(text):
    """Of a table's cells with `module`: "title", "title" and `test_name`: those that no test has."""
    titles, names = ("\n".join(path.read_text() for path in tracked(pattern)) for pattern in ("tests/*.cpp", "tests/*.py"))
    titles = re.sub(r'"\s*\n?\s*"', "", titles)
    for cell in re.findall(r"\|([^|\n]*)", text):
        if not re.match(r" `\w+`: ", cell):
            continue
        for title in re.findall(r'"([^"]*)"', cell):
            if f'"{title}"' not in titles:
                yield title
        for name in re.findall(r"`(test_\w+)`", cell):
            if f"def {name}(" not in names:
                yield name


def unexplained_folders(text, folders):
    """Those that no row of a table begins with, alone or beside others."""
    named = {span.rstrip("/") for cell in re.findall(r"^\| ([^|]*) \|", text, re.MULTILINE) for span in re.findall(r"`([^`]+)`", cell)}
    return sorted(set(folders) - named)


class TextTest(unittest.TestCase):
    def test_links_lead_somewhere(self):
        for path in documents():
            with self.subTest(path.relative_to(ROOT)):
                self.assertEqual(list(broken_links(path, path.read_text())), [])

    def test_paths_exist(self):
        for path in documents():
            with self.subTest(path.relative_to(ROOT)):
                self.assertEqual(list(missing_paths(path.read_text())), [])

    def test_what_does_not_run_under_sanitizers_is_named(self):
        """All of it, and nothing else."""
        def tests_of(folder, *which):
            listed = subprocess.run(["ctest", "-N", *which], cwd=folder, stdout=subprocess.PIPE, text=True, check=True).stdout
            return set(re.findall(r"^ +Test +#\d+: (\w+)$", listed, re.MULTILINE))

        text = (ROOT / "SECURITY.md").read_text()
        (said,) = re.findall(r"but the tests in this list: (.*?)\. Of those", text, re.DOTALL)
        names = {preset: set(re.findall(r"`([\w*]+)`", said)) for preset in ("asan", "tsan")}
        names["asan"] -= set(re.findall(r"`([\w*]+)`", said.partition("under TSan")[2]))
        newest = max(path.stat().st_mtime for name in ("CMakeLists.txt", "*.cmake") for path in (ROOT / "tests").rglob(name))
        there = [preset for preset in names if (build / preset / "build.ninja").is_file()
                 and (build / preset / "build.ninja").stat().st_mtime > newest]
        if not there:
            self.skipTest("no preset with sanitizers is built of this tree")
        for preset in there:
            run = tests_of(build / preset, "-L", "^unit$")
            named = {test for test in tests_of(build) if any(fnmatch.fnmatchcase(test, name) for name in names[preset])}
            self.assertEqual(tests_of(build) - run - named, set(), f"{preset}: SECURITY.md does not say that these do not run")
            self.assertEqual(named & run, set(), f"{preset}: SECURITY.md says that these do not run")

    def test_tests_that_are_named_exist(self):
        text = (ROOT / "SECURITY.md").read_text()
        self.assertGreater(len(re.findall(r'\| `\w+`: "', text)), 10)
        self.assertEqual(list(unknown_tests(text)), [])

    def test_the_diagram_matches_the_folders(self):
        text = (ROOT / "ARCHITECTURE.md").read_text()
        pipeline = re.search(r"^    (config -> .*)$", text, re.MULTILINE)[1]
        modules = {path.name for path in (ROOT / "daemon").iterdir() if path.is_dir()}
        self.assertEqual(set(re.split(r" -> |, ", pipeline)) | {"base"}, modules)
        folders = {path.relative_to(ROOT).parts[0] for path in tracked() if path.parent != ROOT} - {"daemon"}
        self.assertLessEqual({"pack", "tests", ".github"}, folders)
        self.assertEqual(unexplained_folders(text, folders | {f"daemon/{module}" for module in modules}), [])
        self.assertTrue((ROOT / "CHANGELOG.md").read_text().count(
            re.search(r"project\(tmpdump VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text())[1]))

    def test_would_notice(self):
        text = "# One two\n[a](#one-two) [b](#gone) [c](dev) [d](gone.md) [e](CONTRIBUTING.md#gone) `tools/{layer,gone}` `tests/*_gone.py`\n"
        self.assertEqual(list(broken_links(ROOT / "README.md", text)),
                         ["#gone: no such heading", "gone.md: no such file", "CONTRIBUTING.md#gone: no such heading"])
        self.assertEqual(list(missing_paths(text)), ["tools/gone", "tests/*_gone.py"])
        text = "| folder | what |\n|---|---|\n| `one/`, `two/in` | `three/` |\n"
        self.assertEqual(unexplained_folders(text, {"one", "two", "three", "two/in"}), ["three", "two"])
        text = '| what | `net`: "two thousand requests share one connection", "no such story"; `docs`: `test_gone` |'
        self.assertEqual(list(unknown_tests(text)), ["no such story", "test_gone"])


def section(name):
    text = (ROOT / "README.md").read_text()
    return re.search(rf"^## {name}\n(.*?)(?=^## )", text, re.MULTILINE | re.DOTALL)[1]


def sources():
    """All strings of what is shipped, those that go over several lines joined."""
    text = "\n".join(path.read_text() for path in tracked("daemon", "client", "pack", "proto")
                     if path.suffix in (".c", ".cpp", ".h"))
    return re.sub(r'"\s*\n?\s*"', "", text)


def names_after_verbs():
    """{verb: what may stand behind it, or None: anything}, of ./dev."""
    text = (ROOT / "dev").read_text()
    usage = subprocess.run([ROOT / "dev"], check=True, stdout=subprocess.PIPE, text=True).stdout
    verbs = dict.fromkeys(re.findall(r"^  ([a-z]\w*)", usage, re.MULTILINE))
    presets = {preset["name"] for preset in json.loads((ROOT / "CMakePresets.json").read_text())["buildPresets"]}
    benches = set(re.findall(r"^    (\w+)\) python3 bench/", text, re.MULTILINE)) | {path.parent.name for path in ROOT.glob("bench/*/run")}
    fuzzers = {path.name for path in (ROOT / "tests/fuzz/corpus").iterdir()}
    return verbs | {"build": presets, "bench": benches, "layer": {"x86_64", "arm64"}, "fuzz": fuzzers | {"all", "smoke"},
                    "demo": set(), "check": set(), "clean": set()}


def unknown_commands(text, known):
    """Of each `./dev VERB [NAME]`; capital letters, brackets, options and quoted patterns stand for something."""
    for verb, name in re.findall(r"\./dev (\w+)(?: ([a-z]\w*))?", text):
        if verb not in known:
            yield f"./dev {verb}"
        elif name and known[verb] is not None and name not in known[verb]:
            yield f"./dev {verb} {name}"


def unknown_options(text, helps):
    """Of `tmpdump COMMAND ... --option` in spans and blocks, and of spans that begin with an option: of any command."""
    spans = re.findall(r"`([^`\n]+)`", without_blocks(text))
    lines = [line.split(" #")[0] for _, content in blocks(text) for line in content.replace("\\\n", " ").split("\n")]
    for code in spans + lines:
        for command, rest in re.findall(r"(?:^|[ ;|&])tmpdump ([a-z-]+)([^;|&]*)", code):
            for option in re.findall(r"(?:^| )(--[\w-]+)", rest):
                if option not in helps.get(command, ()):
                    yield f"tmpdump {command} {option}"
    for option in (re.match(r"--[\w-]+", code) for code in spans):
        if option and not any(option[0] in known for known in helps.values()):
            yield option[0]


class CommandTest(unittest.TestCase):
    def test_every_command_of_the_script_exists(self):
        known = names_after_verbs()
        for verb in ("build", "bench", "layer", "fuzz"):
            self.assertGreater(len(known[verb]), 1, verb)
        for path in documents():
            with self.subTest(path.relative_to(ROOT)):
                self.assertEqual(list(unknown_commands(path.read_text(), known)), [])

    def test_every_option_is_in_the_help(self):
        def options(*words):
            text = subprocess.run([build / "bin/tmpdump", *words, "--help"], stdout=subprocess.PIPE, text=True, check=True).stdout
            return text, set(re.findall(r"--[a-z][\w-]*", text))

        overview, own = options()
        helps = {command: options(command)[1] for command in re.findall(r"^  ([\w-]+) ", overview.split("Subcommands:")[1], re.MULTILINE)}
        self.assertLessEqual({"fetch", "pack", "wait"}, set(helps))
        self.assertEqual(list(unknown_options((ROOT / "README.md").read_text(), helps | {"": own})), [])

    def test_would_notice(self):
        known = {"bench": {"herd"}, "test": None}
        text = "`./dev test [PATTERN]` `./dev test pack` ./dev bench herd  # x\n`./dev bench` says `./dev bench horde`, ./dev tset"
        self.assertEqual(list(unknown_commands(text, known)), ["./dev bench horde", "./dev tset"])
        text = ("`tmpdump pack --fast` `tmpdump fetch --fast` `--fast` `--slow`\n```sh\ntmpdump pack a \\\n  --slow # --x\n"
                "x | tmpdump wait --fast; y --gone\n```\n")
        self.assertEqual(list(unknown_options(text, {"pack": {"--fast"}, "wait": set()})),
                         ["tmpdump fetch --fast", "tmpdump pack --slow", "tmpdump wait --fast", "--slow"])


class TableTest(unittest.TestCase):
    def test_every_variable_is_explained(self):
        read = set(re.findall(r'"(TMPDUMP_[A-Z_]+)"', sources())) | set(re.findall(r'getenv\("(TMPDUMP_[A-Z_]+)"\)', sources()))
        told = set(re.findall(r"^\| `(TMPDUMP_[A-Z_]+)` \|", section("Configure"), re.MULTILINE))
        self.assertGreater(len(told), 10)
        self.assertEqual(told - read, set(), "nobody reads them")
        self.assertEqual(read - told, set(), "README.md does not explain them")

    def test_every_variable_of_others_is_named(self):
        """The SDKs', Lambda's and the system's, each by its whole name, so that one can look for it."""
        text = sources()
        read = set(re.findall(r'"((?:AWS|LAMBDA|HUMANGRAPHICS)_[A-Z0-9_]+)"', text))
        read |= set(re.findall(r'\b(?:getenv|setting|tmpdump_variable)\((?:[^()";]*, )?"(\w+)"', text))
        self.assertLessEqual({"AWS_REGION", "LAMBDA_TASK_ROOT", "TMPDIR", "LD_LIBRARY_PATH"}, read)
        told = set(re.findall(r"\b[A-Z][A-Z0-9_]+\b", (ROOT / "README.md").read_text()))
        self.assertEqual(read - told, set(), "README.md does not name them")

    def test_every_message_is_the_codes(self):
        """Of `entry '...': wrong CRC-32` the words between what differs from time to time."""
        code, rows = sources(), re.findall(r"^\| (.*?) \| ", section("Troubleshoot"), re.MULTILINE)
        messages = [message for row in rows[1:] for message in re.findall(r"`([^`]+)`", row)]
        self.assertGreater(len(messages), 12)
        for message in messages:
            for words in re.split(r"'[^']*'|…|TMPDUMP_\w+|\b[NMX]\b|s3://|arn:", message.removeprefix("exec-wrapper: error: ")):
                words = words.strip(" :='\"")
                if len(words) > 3:
                    with self.subTest(message):
                        self.assertIn(words, code)


class RunTest(unittest.TestCase):
    """The blocks that are marked, as a person would type them."""

    def fill(self, folder):
        library = Path(build / "lib/libtmpdump.so").resolve().read_bytes()
        (folder / "lib").mkdir()
        (folder / "lib/libexample.so").write_bytes(library)
        place = "org/bytedeco/example/linux-x86_64/libjniexample.so"
        for jar in ("app.jar", "example-1.jar"):
            with zipfile.ZipFile(folder / jar, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr("example/Handler.class", b"class")
                archive.writestr(place, library)
        (folder / "classpath.txt").write_text("app.jar\n")
        (folder / "debug.log").write_text(
            "Debug: Loading class org.bytedeco.example.Example\n"
            f"Debug: Extracting jar:file:{folder}/example-1.jar!/{place}\n"
            f"Debug: Loading /home/u/.javacpp/cache/example-1.jar/{place}\n")

    def test_marked_commands(self):
        commands = [(path.relative_to(ROOT), content) for path in documents() for kind, content in blocks(path.read_text())
                    if kind == RUN]
        self.assertGreaterEqual(len(commands), 1)
        scratch = Path(tempfile.mkdtemp(prefix="tmpdump-docs-"))
        self.addCleanup(shutil.rmtree, scratch)
        with Origin(build / "bin/tmpdump-origin", None) as origin:
            python = Path(os.environ.get("TMPDUMP_PYTHON") or sys.executable)
            environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TMPDUMP_"))}
            environment |= {"PATH": f"{build / 'bin'}:{python.parent}:{os.environ['PATH']}", "AWS_REGION": REGION,
                            "AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
                            "AWS_ENDPOINT_URL_S3": origin.endpoint, "AWS_CONFIG_FILE": "/dev/null",
                            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "no_proxy": "127.0.0.1"}
            for number, (where, content) in enumerate([("setup", "aws s3 mb s3://my-bucket\n"), *commands]):
                with self.subTest(f"{where}: {content.splitlines()[0]}"):
                    folder = scratch / str(number)
                    folder.mkdir()
                    self.fill(folder)
                    done = subprocess.run(["bash", "-euo", "pipefail", "-c", content], cwd=folder, env=environment,
                                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                          text=True, timeout=MOST_S, check=False)
                    self.assertEqual(done.returncode, 0, f"{content}\n{done.stdout}")

    def test_every_fence_that_is_marked_is_known(self):
        for path in documents():
            for kind, _ in blocks(path.read_text()):
                with self.subTest(path.relative_to(ROOT)):
                    self.assertIn(kind, ("", "c", "java", "js", "python", "diff", "sh", RUN, DEPLOY))

    def test_code_compiles(self):
        """The C example, in a function of its own."""
        code, = [content for kind, content in blocks((ROOT / "README.md").read_text()) if kind == "c"]
        include, statement = code.strip().split("\n", maxsplit=1)
        text = f"#include <dlfcn.h>\n{include}\nvoid example(void) {{ {statement} }}\n"
        subprocess.run(["cc", "-x", "c", "-std=c11", "-Wall", "-Werror", "-fsyntax-only", "-I", ROOT / "client", "-"],
                       input=text, text=True, check=True)

    def test_java_compiles(self):
        jar = build / "lib/tmpdump.jar"
        if not shutil.which("javac") or not jar.exists():
            self.skipTest("no JDK")
        code, = [content for kind, content in blocks((ROOT / "README.md").read_text()) if kind == "java"]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "Example.java"
            path.write_text(f"class Example {{ static void example() {{ {code} }} }}")
            subprocess.run(["javac", "-cp", jar, "-d", folder, path], check=True)

    def test_python_compiles(self):
        code = [content for path in documents() for kind, content in blocks(path.read_text()) if kind == "python"]
        self.assertGreaterEqual(len(code), 1)
        for content in code:
            ast.parse(content)

    def test_javascript_compiles(self):
        if not shutil.which("node"):
            self.skipTest("no Node")
        code = [content for path in documents() for kind, content in blocks(path.read_text()) if kind == "js"]
        self.assertGreaterEqual(len(code), 1)
        with tempfile.TemporaryDirectory() as folder:
            for content in code:
                path = Path(folder) / "example.js"
                path.write_text(content)
                subprocess.run(["node", "--check", path], check=True)


class PagesTest(unittest.TestCase):
    """man pages are made of what --help says."""

    def test_pages_have_every_option(self):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([sys.executable, ROOT / "tools/man-pages", build / "bin", folder], check=True)
            pages = {path.name: path.read_text() for path in Path(folder).iterdir()}
        self.assertLessEqual({"tmpdump.1", "tmpdump-fetch.1", "tmpdump-pack.1", "tmpdump-prefetch.1", "exec-wrapper.1"}, set(pages))
        said = subprocess.run([build / "bin/tmpdump", "fetch", "--help"], stdout=subprocess.PIPE, text=True, check=True).stdout
        options = re.findall(r"^  (?:-\w,)?(--[\w-]+)", said, re.MULTILINE)
        self.assertGreater(len(options), 8)
        for option in options:
            self.assertIn(option.replace("-", r"\-"), pages["tmpdump-fetch.1"])
        for variable in ("TMPDUMP_URI", "TMPDUMP_CPU"):
            self.assertIn(variable, pages["tmpdump-prefetch.1"])
        for name, text in pages.items():
            done = subprocess.run(["groff", "-man", "-ww", "-Tutf8", "-z"], input=text, text=True, stderr=subprocess.PIPE, check=True)
            self.assertEqual(done.stderr, "", name)


if __name__ == "__main__":
    build = Path(sys.argv[1]).resolve()
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]], verbosity=2)
