# SPDX-License-Identifier: Apache-2.0
"""The same workloads as `tmpdump pack` makes them, and the trees that must come out.

What is expected is read by bsdtar, which knows nothing of segments, and compared with the files of the stock archive,
content by content (where pack stored a duplicate once, through the link that it left). All of it is cached beside the
archive under the hash of the stock archive, the program that packs and its arguments.
"""
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import workloads
from harness import verify

ROOT = Path(__file__).resolve().parent.parent
FORMAT = 2  # raise it when the way they are made changes

# The library that a function asks for first, of about 1 MB; a profile puts it in front (`tmpdump profile` writes such
# files of a real run). As the stock archive has it wherever its name sorts.
FIRST = {
    "openblas": "lib/libjnijavacpp.so",
    "face": "lib/libjniopencv_calib3d.so",
    "torch": "lib/libc10.so",
    "onnx": "lib/libjnionnxruntime.so",
    "many": "lib/25/file-00025.so.1",
    "one": "lib/libone.so",
    "tiny": "lib/25/file-00025.so.1",
    "zip64": "lib/libsmall.so",
}

# What does not compress takes minutes at the default level, and comes out the same; the other shows no ratio.
ARGUMENTS = {"one": ["--level", "1"], "zip64": ["--level", "1"]}


@dataclass
class Packed:
    archive: Path
    entries: dict  # {path: verify.Entry}


def default_program():
    return ROOT / "build" / "bin" / "tmpdump"


def digest_of(*parts):
    digest = hashlib.sha256()
    for part in parts:
        digest.update(str(part).encode() + b"\0")
    return digest.hexdigest()[:16]


def file_digest(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def make(name, program=None):
    """The packed workload and its expected tree, made when absent."""
    program = Path(program or default_program())
    stock = workloads.make(name)
    stamp = stock.stat()
    # The form, not the binary: pack's output is reproducible, so the same version and arguments give the same bytes.
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    key = digest_of(FORMAT, stamp.st_size, file_digest(stock), version, FIRST[name], *ARGUMENTS.get(name, []))
    archive = workloads.cache_folder() / "workloads" / f"{name}-packed-{key}.zip"
    known = archive.with_suffix(".json")
    with workloads.lock(f"{name}-packed"):
        if not archive.exists() or not known.exists():
            _make_now(name, program, stock, archive, known)
    entries = {path: verify.Entry(**entry) for path, entry in json.loads(known.read_text()).items()}
    return Packed(archive, entries)


def _make_now(name, program, stock, archive, known):
    print(f"workloads: packing {name}", file=sys.stderr)
    with tempfile.TemporaryDirectory(dir=archive.parent) as work:
        tree, again, made = Path(work) / "stock", Path(work) / "packed", Path(work) / "made.zip"
        for folder in (tree, again):
            folder.mkdir()
        subprocess.run(["bsdtar", "-xf", stock, "-C", tree], check=True)
        profile = Path(work) / "profile"
        profile.write_text(FIRST[name] + "\n")
        sources = sorted(path.name for path in tree.iterdir())
        subprocess.run([program, "pack", *(tree / source for source in sources), "-o", made, "--profile", profile,
                        "--include", "*", "-q", *ARGUMENTS.get(name, [])], check=True, stdout=sys.stderr)
        subprocess.run(["bsdtar", "-xf", made, "-C", again], check=True)
        problems = lost(verify.expected(stock), again)
        if problems:
            raise SystemExit(f"workloads: packing {name} lost something: {verify.describe(problems)}")
        text = json.dumps({path: asdict(entry) for path, entry in verify.of_tree(again).items()})
        known.with_suffix(".part").write_text(text)
        known.with_suffix(".part").rename(known)
        made.rename(archive)


def lost(stock, tree):
    """{kind: [paths]} of what the stock archive has and the tree does not, whatever links lie between."""
    problems = {}
    for path, entry in stock.items():
        full = os.path.join(tree, path)
        if entry.kind == "folder":
            fine = os.path.isdir(full)
        elif entry.kind == "link":
            fine = os.path.exists(full) or not os.path.lexists(os.path.join(tree, os.path.dirname(path), entry.target))
        else:
            fine = os.path.isfile(full) and os.path.getsize(full) == entry.size and verify.crc_of(full) == entry.crc
        if not fine:
            problems.setdefault(entry.kind, []).append(path)
    return problems
