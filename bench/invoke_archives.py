# SPDX-License-Identifier: Apache-2.0
"""The function of first_invoke.py and its archives, made once and kept in the cache: as the original layer's README makes
one (what the debug log shows, `zip -y -r`), and as `tmpdump pack` does.
"""
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import workloads
from harness import peers

SOURCE = Path(__file__).resolve().parent / "invoke"
NATIVES = workloads.NATIVES["torch"]
FORMAT = 1  # part of the cached files' names: raise it when the way they are made changes


def digest():
    files = sorted(path for path in SOURCE.rglob("*") if path.is_file() and "target" not in path.parts)
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]


def function():
    """The folder with function.jar and lib/."""
    folder = workloads.cache_folder() / f"bench-invoke-{digest()}"
    if not folder.exists():
        peers.say("building bench/invoke")
        with tempfile.TemporaryDirectory(dir=workloads.cache_folder()) as work:
            shutil.copytree(SOURCE, work, dirs_exist_ok=True)
            peers.installed("bench/invoke", ["mvn", "-q", "-B", "-f", Path(work) / "pom.xml", "package"])
            (Path(work) / "target").rename(folder)
    return folder


def record(built, work):
    """JavaCPP's debug log of the function, run here with the natives of Maven's jars."""
    jars = workloads.jars(workloads.cache_folder() / "workloads" / "jars", NATIVES)
    path = [built / "function.jar", *sorted((built / "lib").iterdir()),
            *(jars / f"{name}-{workloads.JARS[name]}-linux-x86_64.jar" for name in NATIVES)]
    log = work / "debug.log"
    with open(log, "wb") as out:
        subprocess.run(["java", "-Dorg.bytedeco.javacpp.logger.debug=true", f"-Dorg.bytedeco.javacpp.cachedir={work}/cache",
                        "-cp", ":".join(map(str, path)), "invoke.Function"], check=True, stdout=out, stderr=out)
    return log


def make(tmpdump, level):
    """The folder with zip.zip, the stock archive, packed.zip, of zstd's `level`, and tree, to which both unpack."""
    built = function()
    folder = workloads.cache_folder() / "workloads" / f"invoke-{FORMAT}-{digest()}-{level}"
    if not folder.exists():
        peers.say("making the archives of bench/invoke: some minutes")
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            work, made = Path(scratch), Path(scratch) / "made"
            made.mkdir()
            log = record(built, work)
            subprocess.run([tmpdump, "pack", "--from-log", log, "--level", str(level), "-o", made / "packed.zip"], check=True)
            shutil.rmtree(work / "cache")
            subprocess.run([tmpdump, "fetch", made / "packed.zip", "--dest", made / "tree", "-q"], check=True)
            shutil.rmtree(made / "tree" / ".tmpdump", ignore_errors=True)
            names = sorted(f"lib/{name}" for name in os.listdir(made / "tree" / "lib"))
            workloads.zip_folder(made / "tree", ["lib", *names], made / "zip.zip")
            made.rename(folder)
    return folder
