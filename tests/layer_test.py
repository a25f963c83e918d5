# SPDX-License-Identifier: Apache-2.0
"""The layers that tools/layer wrote: what is in them, and that they come out the same.

    layer_test.py BUILD_FOLDER ARCHITECTURE... [-- unittest's arguments]      (BUILD_FOLDER/layer has the layers)

TMPDUMP_REBUILD=all compiles the whole layer once more elsewhere (minutes) instead of its C parts.
"""
import contextlib
import hashlib
import importlib.machinery
import importlib.util
import io
import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
import unittest
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MOST_BYTES = 12_000_000
HERE = "arm64" if os.uname().machine == "aarch64" else os.uname().machine
OLDEST_GLIBC = (2, 17)  # what libtmpdump may need; Amazon Linux 2 has 2.26
PROGRAMS = ("extensions/tmpdump-prefetch", "tmpdump/exec-wrapper", "bin/tmpdump")
LIBRARIES = ("lib/libtmpdump.so", "lib/libtmpdump-preload.so")
LINKS = {"humangraphics/lambda-exec-wrapper.sh": "../tmpdump/exec-wrapper", "lib/libtmpdump.so.1": "libtmpdump.so"}
FILES = {*PROGRAMS, *LIBRARIES, *LINKS, "java/lib/tmpdump.jar", "tmpdump/VERSION", "tmpdump/sbom.spdx.json"}
MACHINES = {"x86_64": "Advanced Micro Devices X86-64", "arm64": "AArch64"}
# Whose code is in every static program: a list of parts without them was not read from the linker.
LINKED = {"glibc", "gcc-12", "openssl", "boost1.81", "zlib", "libzstd", "c-ares", "libisal"}

build, architectures = None, ()


def said(*command, **options):
    return subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE, text=True, **options).stdout


class Layer:
    def __init__(self, architecture):
        self.architecture = architecture
        self.path = build / "layer" / f"tmpdump-{architecture}.zip"
        with zipfile.ZipFile(self.path) as archive:
            self.modes = {info.filename: info.external_attr >> 16 for info in archive.infolist()}
            self.files = {name: archive.read(name) for name in self.modes}
        self.sbom = json.loads(self.files["tmpdump/sbom.spdx.json"])

    def parts(self):
        """{source package: version} of what is linked in."""
        return {found[1]: found[2] for package in self.sbom["packages"]
                if (found := re.search(r"source package (\S+) ([^\s;]+)", package.get("sourceInfo", "")))}

    def elf(self, folder, name, *options):
        path = Path(folder) / name.replace("/", "-")
        path.write_bytes(self.files[name])
        return said("readelf", "-W", *options, path)


class LayerTest(unittest.TestCase):
    def setUp(self):
        self.layers = [Layer(architecture) for architecture in architectures]
        folder = tempfile.TemporaryDirectory(prefix="tmpdump-layer-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def test_holds_what_it_must_and_nothing_else(self):
        for layer in self.layers:
            with self.subTest(layer.architecture):
                others = {name for name in layer.files if name not in FILES and not name.startswith("tmpdump/licenses/")}
                self.assertEqual((FILES - set(layer.files), others), (set(), set()))
                self.assertLess(layer.path.stat().st_size, MOST_BYTES)
                for name in PROGRAMS:
                    self.assertEqual(layer.modes[name], stat.S_IFREG | 0o755)
                for name, target in LINKS.items():
                    self.assertTrue(stat.S_ISLNK(layer.modes[name]))
                    self.assertEqual(layer.files[name].decode(), target)

    def test_what_was_linked_with_the_client_finds_it(self):
        for layer in self.layers:
            with self.subTest(layer.architecture):
                soname = re.search(r"Library soname: \[(.*)\]", layer.elf(self.folder, "lib/libtmpdump.so", "-d"))[1]
                self.assertIn(f"lib/{soname}", layer.files)

    def test_programs_are_static(self):
        for layer in self.layers:
            for name in PROGRAMS:
                with self.subTest(f"{layer.architecture} {name}"):
                    text = layer.elf(self.folder, name, "-h", "-l", "-d")
                    self.assertIn(f"Machine:                           {MACHINES[layer.architecture]}", text)
                    self.assertNotIn("INTERP", text)
                    self.assertNotIn("(NEEDED)", text)
                    self.assertRegex(text, r"Type:\s+DYN")
                    self.assertRegex(text, r"\(FLAGS_1\).* PIE")
                    self.assert_hardened(text)

    def assert_hardened(self, text):
        """What the linker adds, by readelf: of a machine whose programs do not run here, too."""
        self.assertRegex(text, r"GNU_STACK +0x\w+ 0x\w+ 0x\w+ 0x\w+ 0x\w+ RW ")
        self.assertRegex(text, r"GNU_RELRO +0x")
        self.assertRegex(text, r"\(FLAGS(_1)?\).* (BIND_)?NOW")
        self.assertNotRegex(text, r"LOAD .* [R ]WE ")
        self.assertNotRegex(text, r"\((RPATH|RUNPATH|TEXTREL)\)")

    def test_all_of_it_is_compiled_so(self):
        """Of the machine that hardening_test.py does not run on."""
        for layer in self.layers:
            folder = build / ("." if layer.architecture == HERE else f"layer-{layer.architecture}")
            found = set()
            for entry in json.loads((folder / "compile_commands.json").read_text()):
                source = Path(entry["directory"], entry["file"])
                if not source.is_relative_to(ROOT) or source.relative_to(ROOT).parts[0] not in ("client", "daemon", "pack"):
                    continue
                found.add(source)
                words = shlex.split(entry["command"])
                with self.subTest(f"{layer.architecture} {source.relative_to(ROOT)}"):
                    for pattern, wanted in (("-f(no-)?stack-protector", r"-fstack-protector-strong"), ("-[UD]_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=3"),
                                            ("-O", "-O[2s]")):
                        self.assertRegex(([word for word in words if re.match(pattern, word)] or ["none"])[-1], f"^{wanted}$")
            self.assertGreater(len(found), 100)

    def test_libraries_need_no_new_glibc(self):
        for layer in self.layers:
            for name in LIBRARIES:
                with self.subTest(f"{layer.architecture} {name}"):
                    text = layer.elf(self.folder, name, "-h", "-l", "-V", "-d")
                    self.assertIn(MACHINES[layer.architecture], text)
                    self.assert_hardened(text)
                    needs = text.split("Version needs section")[1]
                    versions = [tuple(map(int, found.split("."))) for found in re.findall(r"Name: GLIBC_([\d.]+)", needs)]
                    self.assertTrue(versions)
                    self.assertLessEqual(max(versions), OLDEST_GLIBC)
                    self.assertNotIn("Name: GLIBC_PRIVATE", needs)
                    libraries = set(re.findall(r"\(NEEDED\).*\[(.*)\]", text))
                    self.assertLessEqual(libraries, {"libc.so.6", "libdl.so.2", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"})

    def test_list_of_parts(self):
        for layer in self.layers:
            with self.subTest(layer.architecture):
                sources = set()
                for package in layer.sbom["packages"]:
                    if package["name"] == "tmpdump":
                        continue
                    licence = re.search(r"licence in (\S+)$", package["sourceInfo"])[1]
                    self.assertGreater(len(layer.files[licence]), 400, licence)
                    sources.add(re.search(r"source package (\S+)", package["sourceInfo"])[1])
                self.assertLessEqual(LINKED, sources)
                # Every licence belongs to a part or is referred to by one, and every file stands in the list with its digest.
                texts = {name.removeprefix("tmpdump/licenses/").removesuffix(".txt"): text for name, text in layer.files.items()
                         if name.startswith("tmpdump/licenses/")}
                for name in texts.keys() - sources - {"tmpdump"}:
                    self.assertIn(f"/usr/share/common-licenses/{name}".encode(), b"".join(texts.values()))
                self.assertLessEqual({"LGPL-2.1", "GPL-3"}, set(texts))
                listed = {file["fileName"]: {sum_["algorithm"]: sum_["checksumValue"] for sum_ in file["checksums"]}
                          for file in layer.sbom["files"]}
                for name, content in layer.files.items():
                    if name not in LINKS and name != "tmpdump/sbom.spdx.json":
                        self.assertEqual(listed[f"./{name}"]["SHA256"], hashlib.sha256(content).hexdigest(), name)

    def test_texts_of_the_licences(self):
        for layer in self.layers:
            texts = b"".join(content for name, content in layer.files.items() if name.startswith("tmpdump/licenses/")).lower()
            for words in (b"GNU Lesser General Public License", b"Apache License", b"Boost Software License", b"GCC Runtime Library Exception"):
                self.assertTrue(words.lower() in texts, (layer.architecture, words))

    def test_version(self):
        version = re.search(r"project\(tmpdump VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text())[1]
        commit = said("git", "-C", ROOT, "rev-parse", "HEAD").strip()
        for layer in self.layers:
            first, second, third = layer.files["tmpdump/VERSION"].decode().splitlines()
            self.assertEqual((first, third), (version, f"architecture {layer.architecture}"))
            self.assertIn(commit, second)
        self.assertEqual((build / "layer/VERSION").read_text(), version + "\n")

    def test_programs_say_what_is_linked_in(self):
        """What they were compiled and linked with, beside what the list of parts says of it."""
        names = {"Boost": "boost1.81", "OpenSSL": "openssl", "c-ares": "c-ares", "ISA-L": "libisal", "zlib": "zlib", "zstd": "libzstd",
                 "glibc": "glibc", "GCC": "gcc-12", "libdeflate": "libdeflate", "CLI11": "cli11"}
        for layer in self.layers:
            here = layer.architecture == HERE
            listed = {source: re.match(r"(?:\d+:)?(\d+(?:\.\d+)*)", version)[1] for source, version in layer.parts().items()}
            self.assertEqual(set(listed), set(names.values()))
            for name in ("bin/tmpdump", "extensions/tmpdump-prefetch"):
                with self.subTest(f"{layer.architecture} {name}"):
                    program = self.folder / f"{layer.architecture}-{Path(name).name}"
                    program.write_bytes(layer.files[name])
                    program.chmod(0o755)
                    told = said(*([] if here else ["qemu-aarch64-static"]), program, "--version").splitlines()[1]
                    versions = dict(part.rsplit(" ", 1) for part in told.split(", "))
                    self.assertLessEqual(set(names) - {"libdeflate", "CLI11"}, set(versions))
                    self.assertEqual({names[part]: version for part, version in versions.items()},
                                     {names[part]: listed[names[part]] for part in versions})

    def test_sums(self):
        said("sha256sum", "--check", "--strict", "SHA256SUMS", cwd=build / "layer")


class PinnedTest(unittest.TestCase):
    """tools/layer beside a lock of the test's own."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="tmpdump-layer-")
        self.addCleanup(folder.cleanup)
        self.addCleanup(setattr, sys, "dont_write_bytecode", sys.dont_write_bytecode)
        sys.dont_write_bytecode = True
        loader = importlib.machinery.SourceFileLoader("layer", str(ROOT / "tools/layer"))
        self.tool = importlib.util.module_from_spec(importlib.util.spec_from_loader("layer", loader))
        loader.exec_module(self.tool)
        self.pins = self.tool.pinned()
        made, make = {}, self.tool.Layer  # packing takes seconds, and is the same each time
        self.tool.Layer = lambda source, architecture: made.get(architecture) or made.setdefault(architecture, make(source, architecture))
        self.tool.LOCK = Path(folder.name) / "lock"

    def run_tool(self, *options):
        """Its status and what it says of errors; what it writes is what is there."""
        argv, sys.argv = sys.argv, ["layer", *options]
        try:
            with contextlib.redirect_stderr(io.StringIO()) as errors, contextlib.redirect_stdout(io.StringIO()):
                self.tool.main()
            return 0, errors.getvalue()
        except SystemExit as end:
            return 1, errors.getvalue() + str(end)
        finally:
            sys.argv = argv

    def pin(self, pins):
        self.tool.LOCK.write_text("# a comment\n\n" + "".join(f"{source} {version}\n" for source, version in pins.items()))

    def each(self):
        for layer in map(Layer, architectures):
            with self.subTest(layer.architecture):
                yield layer, layer.parts()

    def test_what_is_linked_in_is_pinned(self):
        """Which, that is; whether this machine has those versions is what --locked asks."""
        for _, here in self.each():
            self.assertEqual(set(self.pins), set(here))
            for source, version in here.items():
                if self.pins[source] != version:
                    print(f"this machine's {source} is {version}, pinned is {self.pins[source]}")
        isal = re.search(r"^version=(\S+)", (ROOT / "tools/build-isal").read_text(), re.MULTILINE)[1]
        self.assertEqual(self.pins["libisal"], isal)

    def test_the_pinned_versions_are_taken_without_a_word(self):
        for layer, here in self.each():
            self.pin(here)
            self.assertEqual(self.run_tool("--locked", layer.architecture), (0, ""))

    def test_another_version_is_told_and_refused(self):
        for layer, here in self.each():
            for pinned, advice in (("3.0.1-1", r": to pin what is here: \./dev layer --lock"), ("4.0.0-1", ": (apt-get update|rm -r) .*")):
                self.pin(here | {"openssl": pinned})
                status, told = self.run_tool(layer.architecture)
                self.assertEqual(status, 0)
                self.assertRegex(told, rf"^\S*\s?{layer.architecture}: openssl is {re.escape(here['openssl'])} here, "
                                       rf"tools/layer\.lock has {pinned}{advice}\n$")
                before = layer.path.stat()
                self.assertEqual(self.run_tool("--locked", layer.architecture), (1, told + "layer: nothing was written: --locked"))
                after = layer.path.stat()
                self.assertEqual((after.st_ino, after.st_mtime_ns), (before.st_ino, before.st_mtime_ns))

    def test_what_is_not_pinned_is_refused(self):
        for layer, here in self.each():
            self.pin({source: version for source, version in here.items() if source != "zlib"})
            status, told = self.run_tool("--locked", layer.architecture)
            self.assertEqual(status, 1)
            self.assertIn(f"zlib is {here['zlib']} here, tools/layer.lock has none", told)

    def test_a_lock_is_written(self):
        for layer, here in self.each():
            self.assertEqual(self.run_tool("--lock", layer.architecture), (0, ""))
            self.assertEqual(self.tool.pinned(), here)
            self.assertEqual(self.run_tool("--locked", layer.architecture), (0, ""))

    def test_two_versions_of_one_source_cannot_be_pinned(self):
        parts = [{"name": "libssl-dev", "source": "openssl", "source_version": version} for version in ("3.0.1-1", "3.0.2-1")]
        with self.assertRaises(SystemExit) as refused:
            self.tool.lock_of(parts)
        self.assertIn("openssl is 3.0.1-1 and 3.0.2-1", str(refused.exception))

    def test_a_library_that_was_exchanged_after_linking_is_noticed(self):
        """A package that is replaced keeps its files' times: nothing is linked anew, and the list of parts would say what is not so."""
        for layer, _ in self.each():
            built = self.tool.Built(layer.architecture)
            self.assertTrue(self.tool.linked_archives(built))
            copy = Path(self.tool.LOCK).parent / layer.architecture
            shutil.copytree(built.folder / "link-inputs", copy / "link-inputs")
            digests = copy / "link-inputs/tmpdump.sha256"
            digests.write_text(re.sub(r"^\w+(  \S*/libcrypto\.a)$", rf"{'0' * 64}\1", digests.read_text(), flags=re.MULTILINE))
            root, self.tool.ROOT, built.folder = self.tool.ROOT, copy, copy
            with self.assertRaises(SystemExit) as refused:
                self.tool.linked_archives(built)
            self.tool.ROOT = root
            self.assertIn("libcrypto.a is not what bin/tmpdump was linked with", str(refused.exception))


class SameBytesTest(unittest.TestCase):
    """Once more, elsewhere, by someone else."""

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="tmpdump-again-"))
        self.addCleanup(shutil.rmtree, self.folder)

    def copy(self):
        """What git knows of the sources, and of what is new; in a folder with another name."""
        names = said("git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
        copy = self.folder / "a clone with another name".replace(" ", "-")
        for name in filter(None, names):
            if (ROOT / name).is_file():
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, copy / name)
                shutil.copymode(ROOT / name, copy / name)
        return copy

    def put_back(self, files):
        """What was looked at stays there, whatever came of it."""
        for name, content in files.items():
            if (build / "layer" / name).read_bytes() != content:
                new = build / "layer" / f".{name}.new"
                new.write_bytes(content)
                new.replace(build / "layer" / name)

    def test_packed_again(self):
        before = {path.name: path.read_bytes() for path in (build / "layer").glob("tmpdump-*")}
        self.addCleanup(self.put_back, before | {"SHA256SUMS": (build / "layer/SHA256SUMS").read_bytes()})
        environment = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "TZ": "Asia/Tokyo", "LC_ALL": "C", "TMPDIR": str(self.folder)}
        if "TMPDUMP_CACHE" in os.environ:
            environment["TMPDUMP_CACHE"] = os.environ["TMPDUMP_CACHE"]
        said(ROOT / "tools/layer", *architectures, cwd="/", env=environment, umask=0o077)
        after = {path.name: path.read_bytes() for path in (build / "layer").glob("tmpdump-*")}
        self.assertEqual({name: hashlib.sha256(content).hexdigest() for name, content in after.items()},
                         {name: hashlib.sha256(content).hexdigest() for name, content in before.items()})

    def test_compiled_again(self):
        """As ./dev does, but with an empty ccache: the usual one would give the first build's answer."""
        copy = self.copy()
        for architecture in architectures:
            self.compile_again(architecture, copy, whole=os.environ.get("TMPDUMP_REBUILD") == "all")

    def compile_again(self, architecture, copy, whole):
        crossed = architecture != HERE
        preset, place, strip = ("layer-arm64", "layer-arm64", "aarch64-linux-gnu-strip") if crossed else ("release", ".", "strip")
        targets = ["layer_parts"] if whole else ["exec-wrapper", "tmpdump_client", "tmpdump_preload"]
        cache = (build / place / "CMakeCache.txt").read_text()
        same = [f"-D{name}={value}" for name, value in re.findall(
            r"^(TMPDUMP_ISAL_ROOT|TMPDUMP_ARM64_SYSROOT|CMAKE_C(?:XX)?_COMPILER_LAUNCHER):\w+=(.+)$", cache, re.MULTILINE)]
        environment = os.environ | {"CCACHE_DIR": str(self.folder / "ccache"), "CCACHE_BASEDIR": str(copy), "CCACHE_NOHASHDIR": "1"}
        said("cmake", "--preset", preset, f"-DBUILD_TESTING={'ON' if whole else 'OFF'}", *same, cwd=copy)
        said("cmake", "--build", "--preset", preset, "-j", os.cpu_count(), "--target", *targets, cwd=copy, env=environment)
        parts = ["bin/exec-wrapper", "lib/libtmpdump.so", "lib/libtmpdump-preload.so"]
        for part in parts + (["bin/tmpdump", "bin/tmpdump-prefetch"] if whole else []):
            with self.subTest(f"{architecture} {part}"):
                first, second = self.folder / "first", self.folder / "second"
                said(strip, "--strip-all", "-o", first, build / place / part)
                said(strip, "--strip-all", "-o", second, copy / "build" / place / part)
                self.assertEqual(hashlib.sha256(second.read_bytes()).hexdigest(), hashlib.sha256(first.read_bytes()).hexdigest())


if __name__ == "__main__":
    build = Path(sys.argv[1]).resolve()
    rest = sys.argv[2:]
    more = rest[rest.index("--") + 1:] if "--" in rest else []
    architectures = rest[:rest.index("--")] if "--" in rest else rest
    unittest.main(argv=[sys.argv[0], *more], verbosity=2)
