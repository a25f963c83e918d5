#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The archives that the benchmarks and the demo use.

    bench/workloads.py [NAME...]        make them if absent; print name, sizes, entries, SHA-256 and place of each
    bench/workloads.py --path NAME      print the place of one alone, for scripts
    bench/workloads.py --packed [NAME...]   make the packed ones too (packed.py; torch takes a minute on two cores)

    openblas  OpenBLAS + JavaCPP, as an OpenBLAS function needs it (demo, tests)
    face      OpenCV + OpenBLAS + JavaCPP
    torch     PyTorch + OpenCV + OpenBLAS + JavaCPP; one library is 315 MB
    onnx      ONNX Runtime + JavaCPP
    many      5,000 small files
    one       1 GB that does not compress, in one file
    zip64     3 GB, one file above 4 GiB, zip64 records throughout
    tiny      200 small files, folders and links: for tests of the harness

They are made once, in ${TMPDUMP_CACHE:-~/.cache/tmpdump}/workloads. The same versions give the same bytes: entries are
sorted, times fixed, nothing of this machine gets in.
"""
import argparse
import contextlib
import fcntl
import hashlib
import os
import random
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path

from harness.zipwrite import DEFLATED, STORED, RepeatedBlock, ZipWriter

FORMAT = 1  # part of the cached files' names: raise it when the way they are made changes
JARS = {
    "javacpp": "1.5.11",
    "openblas": "0.3.28-1.5.11",
    "opencv": "4.10.0-1.5.11",
    "pytorch": "2.5.1-1.5.11",
    "onnxruntime": "1.20.0-1.5.11",
}
NATIVES = {
    "openblas": ["javacpp", "openblas"],
    "face": ["javacpp", "openblas", "opencv"],
    "torch": ["javacpp", "openblas", "opencv", "pytorch"],
    "onnx": ["javacpp", "onnxruntime"],
}
NAMES = [*NATIVES, "many", "one", "zip64", "tiny"]
FIXED_TIME = 1577836800  # 2020-01-01 00:00:00 UTC


def cache_folder():
    return Path(os.environ.get("TMPDUMP_CACHE") or Path.home() / ".cache" / "tmpdump")


def path_of(name):
    return cache_folder() / "workloads" / f"{name}-{FORMAT}.zip"


@contextlib.contextmanager
def lock(what):
    """One process at a time makes a thing in the cache; the others wait and find it."""
    folder = cache_folder() / "workloads"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / f"{what}.lock", "w", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


# ---- real libraries -------------------------------------------------------------------------------------------------

def jars(folder, names):
    """The native jars, through Maven's ordinary client, with whatever mirror the machine has configured."""
    missing = [name for name in names if not (folder / f"{name}-{JARS[name]}-linux-x86_64.jar").exists()]
    if missing:
        dependencies = "".join(
            f"<dependency><groupId>org.bytedeco</groupId><artifactId>{name}</artifactId>"
            f"<version>{JARS[name]}</version><classifier>linux-x86_64</classifier></dependency>" for name in missing)
        with tempfile.TemporaryDirectory() as work:
            pom = Path(work) / "pom.xml"
            pom.write_text(
                '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
                "<groupId>tmpdump</groupId><artifactId>workloads</artifactId><version>1</version>"
                f"<packaging>pom</packaging><dependencies>{dependencies}</dependencies></project>")
            subprocess.run(["mvn", "-q", "-B", "-f", pom, "dependency:copy-dependencies", "-DexcludeTransitive=true",
                            f"-DoutputDirectory={work}/jars"], check=True, stdout=sys.stderr)
            folder.mkdir(parents=True, exist_ok=True)
            for path in Path(work, "jars").iterdir():  # whole or not at all, whoever looks
                shutil.copyfile(path, folder / f"{path.name}.part")
                (folder / f"{path.name}.part").rename(folder / path.name)
    return folder


def versioned_links(library):
    """lib/libx.so beside lib/libx.so.1, as JavaCPP's cache and the original README have them."""
    for path in sorted(library.iterdir()):
        found = re.fullmatch(r"(lib.+\.so)\.[0-9.]+", path.name)
        if found and not (library / found[1]).exists():
            (library / found[1]).symlink_to(path.name)


def natives(name, target):
    with tempfile.TemporaryDirectory(dir=target.parent) as work:
        library = Path(work) / "lib"
        library.mkdir()
        folder = jars(cache_folder() / "workloads" / "jars", NATIVES[name])
        for artifact in NATIVES[name]:
            with zipfile.ZipFile(folder / f"{artifact}-{JARS[artifact]}-linux-x86_64.jar") as jar:
                for member in jar.namelist():
                    if not re.fullmatch(r"org/bytedeco/\w+/linux-x86_64/lib[^/]*\.so[.0-9]*", member):
                        continue
                    # The original's README drops the build without LAPACK; the demo's archive keeps JavaCPP happy.
                    if "openblas_nolapack" in member and name != "openblas":
                        continue
                    with jar.open(member) as source, open(library / Path(member).name, "wb") as out:
                        shutil.copyfileobj(source, out, 1 << 20)
        if name == "openblas":
            # libjniopenblas_nolapack.so, which JavaCPP loads first, needs it; the jar has no such file.
            (library / "libopenblas_nolapack.so.0").symlink_to("libopenblas.so.0")
        versioned_links(library)
        zip_folder(Path(work), ["lib", *sorted(f"lib/{path.name}" for path in library.iterdir())], target)


def zip_folder(root, members, target):
    """`zip -y -r target lib/` with everything that differs from machine to machine taken out."""
    for member in members:
        path = root / member
        if not path.is_symlink():
            path.chmod(0o755)
        os.utime(path, (FIXED_TIME, FIXED_TIME), follow_symlinks=False)
    # zip refuses an existing file that is no archive, and adds ".zip" to a name that has no dot.
    packed = root / "tmpdump.zip"
    subprocess.run(["zip", "-q", "-X", "-y", "-6", packed.name, "-@"], cwd=root, check=True, stdout=sys.stderr,
                   input="\n".join(members), text=True, env={**os.environ, "TZ": "UTC", "ZIPOPT": ""})
    packed.rename(target)


# ---- generated archives ---------------------------------------------------------------------------------------------

def small_files(target, count, largest, links):
    """Sizes spread evenly on a logarithmic scale; half of each file compresses."""
    source = random.Random(count)
    with zipfile.ZipFile(target, "w") as archive:
        for number in range(count):
            folder = f"lib/{number % 50:02}/"
            if number < 50:
                add(archive, folder, b"", stat.S_IFDIR | 0o755)
            size = int(largest ** source.uniform(0.4, 1))
            content = source.randbytes(size // 2) + b"tmpdump " * (size // 16)
            mode = 0o755 if number % 3 else 0o640
            add(archive, f"{folder}file-{number:05}.so.1", content, stat.S_IFREG | mode)
            if number < links:
                add(archive, f"{folder}file-{number:05}.so", f"file-{number:05}.so.1".encode(), stat.S_IFLNK | 0o777)


def add(archive, name, content, mode):
    info = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))
    info.create_system = 3
    info.external_attr = mode << 16 | (0x10 if stat.S_ISDIR(mode) else 0)
    info.compress_type = zipfile.ZIP_DEFLATED if stat.S_ISREG(mode) else zipfile.ZIP_STORED
    archive.writestr(info, content)


def one(target):
    source, part = random.Random(1), 1 << 24
    parts = [source.randbytes(part) for _ in range(4)]  # 64 MB repeated: nothing here looks back that far
    count = 10**9 // part
    crc = 0
    for number in range(count):
        crc = zlib.crc32(parts[number % 4], crc)
    with open(target, "wb") as file, ZipWriter(file) as archive:
        archive.add("lib/libone.so", (parts[number % 4] for number in range(count)), STORED, crc,
                    count * part, count * part, 0o755)


def zip64(target, big=560, small=80):
    """big, small: how often the 8 MiB block repeats in each of the two files."""
    source = random.Random(64)
    # Something like code: skewed bytes, with stretches that repeat. Packs to a little less than half.
    table = bytes(min(int(source.expovariate(1 / 6)), 255) for _ in range(256))
    words = [source.randbytes(64).translate(table) for _ in range(4096)]
    block = b"".join(source.choice(words) if number % 3 == 0 else source.randbytes(64).translate(table)
                     for number in range((8 << 20) // 64))
    repeated = RepeatedBlock(block)
    with open(target, "wb") as file, ZipWriter(file, always_zip64=True) as archive:
        for name, count in (("lib/libbig.so", big), ("lib/libsmall.so", small)):
            packed, size = repeated.sizes(count)
            archive.add(name, repeated.chunks(count), DEFLATED, repeated.crc(count), packed, size, 0o755)


def generate(name, target):
    if name in NATIVES:
        natives(name, target)
    elif name == "many":
        small_files(target, 5000, 64 << 10, links=100)
    elif name == "tiny":
        small_files(target, 200, 16 << 10, links=20)
    elif name == "one":
        one(target)
    elif name == "zip64":
        zip64(target)
    else:
        raise SystemExit(f"workloads: no workload '{name}'; there are {', '.join(NAMES)}")


# ---- what they are --------------------------------------------------------------------------------------------------

# name: (entries, bytes of the archive, bytes unpacked). The archive's size may differ by 1 %: zlibs differ.
EXPECTED = {
    "onnx": (7, 10_026_275, 32_875_283),
    "openblas": (14, 15_051_510, 61_524_150),
    "face": (132, 37_669_939, 124_953_486),
    "torch": (139, 120_916_335, 470_085_938),
    "many": (5150, 25_394_015, 48_838_826),
    "one": (1, 989_855_868, 989_855_744),
    "zip64": (2, 2_985_900_566, 5_368_714_240),
    "tiny": (270, 318_494, 556_182),
}


def describe(path):
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        return len(entries), path.stat().st_size, sum(entry.file_size for entry in entries)


def packed_bytes(path, member):
    """What one file takes in the archive."""
    with zipfile.ZipFile(path) as archive:
        return archive.getinfo(member).compress_size


def make(name):
    """The path of a workload, made when absent."""
    path = path_of(name)
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with lock(name if name not in NATIVES else "jars"):
        if not path.exists():
            make_now(name, path)
    return path


def make_now(name, path):
    print(f"workloads: making {name}", file=sys.stderr)
    with tempfile.TemporaryDirectory(dir=path.parent) as work:
        made = Path(work) / "made.zip"
        generate(name, made)
        found = describe(made)
        wanted = EXPECTED.get(name, found)
        if found[0] != wanted[0] or found[2] != wanted[2] or abs(found[1] - wanted[1]) > wanted[1] / 100:
            raise SystemExit(f"workloads: {name} has (entries, packed, unpacked) = {found}, expected {wanted}")
        made.rename(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; default: the real libraries")
    parser.add_argument("--path", action="store_true", help="print only the archive's path")
    parser.add_argument("--packed", action="store_true", help="also the archive that tmpdump pack makes of it")
    options = parser.parse_args()
    for name in options.names or NATIVES:
        if name not in NAMES:
            parser.error(f"no workload '{name}'; there are {', '.join(NAMES)}")
        path = make(name)
        if options.path:
            print(path)
            continue
        entries, packed, unpacked = describe(path)
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else "-"
        print(f"{name}: {entries} entries, {packed / 1e6:.1f} MB of zip, {unpacked / 1e6:.1f} MB unpacked, "
              f"sha256 {digest}\n  {path}")
        if options.packed:
            import packed  # which needs this module

            print(f"  packed: {packed.make(name).archive}")


if __name__ == "__main__":
    main()
