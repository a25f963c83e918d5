# SPDX-License-Identifier: Apache-2.0
"""What libtmpdump.so and the preload shim ask of, and show to, the process that loads them.

client_abi.py LIBTMPDUMP HEADER, client_abi.py SHIM VERSION_SCRIPT
"""
import os
import re
import subprocess
import sys
import tempfile

library, declarations = sys.argv[1:3]
is_shim = declarations.endswith(".map")
problems = []


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


# Amazon Linux 2 has glibc 2.26; manylinux2014 and its peers 2.17.
for version in set(re.findall(r"\bGLIBC_([0-9.]+)\b", run("readelf", "--version-info", "--wide", library))):
    if tuple(map(int, version.split("."))) > (2, 17):
        problems.append(f"needs GLIBC_{version}")
for version in set(re.findall(r"\bGLIBC_(?:PRIVATE|ABI_\w+)\b", run("readelf", "--version-info", "--wide", library))):
    problems.append(f"needs {version}")
for needed in re.findall(r"\(NEEDED\).*\[(.*)\]", run("readelf", "--dynamic", "--wide", library)):
    # Before glibc 2.34 dlsym was in libdl.
    if needed != "libc.so.6" and not needed.startswith("ld-linux") and not (is_shim and needed == "libdl.so.2"):
        problems.append(f"needs {needed}")

with open(declarations, encoding="utf-8") as file:
    text = file.read()
exported = {line.split()[-1].split("@")[0] for line in run("nm", "-D", "--defined-only", library).splitlines()}
if is_shim:
    declared = set(re.findall(r"\b(\w+);", text.split("local:")[0]))
    fits = exported == declared and len(declared) > 30
else:
    declared = set(re.findall(r"TMPDUMP_API[^;]*?\b(tmpdump_\w+)\(", text))
    exported.discard("TMPDUMP_1")
    java = {name for name in exported if name.startswith("Java_tmpdump_Tmpdump_")}
    fits = len(declared) == 5 and exported - java == declared and len(java) == 3
if not fits:
    problems.append(f"exports {sorted(exported)}, declares {sorted(declared)}")

with tempfile.TemporaryDirectory() as directory:
    stripped = os.path.join(directory, "stripped.so")
    run("strip", "-o", stripped, library)
    size = os.path.getsize(stripped)
    print(f"{size} bytes stripped")
    limit = 64 if is_shim else 40
    if size >= limit * 1024:
        problems.append(f"{size} bytes stripped: {limit} KiB is the limit")

for problem in problems:
    print(f"{library}: {problem}", file=sys.stderr)
sys.exit(bool(problems))
