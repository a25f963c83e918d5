# SPDX-License-Identifier: Apache-2.0
"""What libtmpdump.so asks of, and shows to, the process that loads it: client_abi.py LIBTMPDUMP HEADER"""
import os
import re
import subprocess
import sys
import tempfile

library, header = sys.argv[1:3]
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
    if needed != "libc.so.6" and not needed.startswith("ld-linux"):
        problems.append(f"needs {needed}")

with open(header, encoding="utf-8") as text:
    declared = set(re.findall(r"TMPDUMP_API[^;]*?\b(tmpdump_\w+)\(", text.read()))
exported = {line.split()[-1].split("@")[0] for line in run("nm", "-D", "--defined-only", library).splitlines()}
exported.discard("TMPDUMP_1")
java = {name for name in exported if name.startswith("Java_tmpdump_Tmpdump_")}
if len(declared) != 5 or exported - java != declared or len(java) != 3:
    problems.append(f"exports {sorted(exported)}, declares {sorted(declared)}")

with tempfile.TemporaryDirectory() as directory:
    stripped = os.path.join(directory, "stripped.so")
    run("strip", "-o", stripped, library)
    size = os.path.getsize(stripped)
    print(f"{size} bytes stripped")
    if size >= 40 * 1024:
        problems.append(f"{size} bytes stripped: 40 KiB is the limit")

for problem in problems:
    print(f"{library}: {problem}", file=sys.stderr)
sys.exit(bool(problems))
