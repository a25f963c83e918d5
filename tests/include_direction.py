#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Includes point one way: include_direction.py [SOURCE_DIR].

The order of the modules is the one of daemon/CMakeLists.txt's `foreach(module ...)`. A file of daemon/X may include X
itself and the modules to the left of X; everyone may include proto/; client/ may include only client/ and proto/.
pack/ stands behind all of them: it may include every module, and only a program's main.cpp may include pack/.
The same goes for what daemon/X/CMakeLists.txt links. Exit code 1 lists every include that points the other way.
"""
import re
import sys
from pathlib import Path

SOURCES = {".h", ".hpp", ".c", ".cpp", ".S"}
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)


def module_order(root):
    text = (root / "daemon" / "CMakeLists.txt").read_text()
    found = re.search(r"foreach\(\s*module\s+([^)]*)\)", text)
    if not found:
        raise SystemExit("include_direction: daemon/CMakeLists.txt has no foreach(module ...) line")
    return found.group(1).split()


def source_files(folder):
    return sorted(path for path in folder.rglob("*") if path.suffix in SOURCES and path.is_file())


def includes(path):
    text = path.read_text(errors="replace")
    for found in INCLUDE.finditer(text):
        yield text.count("\n", 0, found.start(1)) + 1, found.group(1)


def is_proto(root, target):
    return target.startswith("proto/") or (root / "proto" / target).is_file()


def daemon_problem(root, order, module, path, target):
    if ".." in Path(target).parts:
        return "goes up with '..'; name it from its module: MODULE/file.h"
    if target.startswith("pack/"):
        return None if path.name == "main.cpp" else "pack/ stands behind the daemon's modules; only a main.cpp may see it"
    first = target.split("/")[0]
    if "/" in target and first in order:
        if order.index(first) > order.index(module):
            return f"{module} stands before {first}: data flows from left to right, includes from right to left"
        return None
    if is_proto(root, target) or ("/" not in target and (path.parent / target).is_file()):
        return None
    return f"is neither in {module}, a module before it, nor in proto/"


def client_problem(root, path, target):
    if ".." in Path(target).parts:
        return "goes up with '..'"
    inside = target.startswith("client/") or (path.parent / target).is_file() or (root / "client" / target).is_file()
    return None if inside or is_proto(root, target) else "is neither in client/ nor in proto/"


def pack_problem(root, order, target):
    if ".." in Path(target).parts:
        return "goes up with '..'"
    first = target.split("/")[0]
    inside = "/" in target and (first in order or first == "pack")
    return None if inside or is_proto(root, target) else "is neither in pack/, a module of daemon/, nor in proto/"


def link_problems(root, order, module):
    lists = root / "daemon" / module / "CMakeLists.txt"
    if not lists.is_file():
        return
    for number, line in enumerate(lists.read_text().splitlines(), 1):
        for name in re.findall(r"\btmpdump_(\w+)", line.split("#")[0]):
            if name in order and order.index(name) > order.index(module):
                yield f"{lists.relative_to(root)}:{number}: tmpdump_{name}: {module} stands before {name}"


def problems(root):
    order = module_order(root)
    found = []
    for folder in sorted(path for path in (root / "daemon").iterdir() if path.is_dir()):
        if folder.name not in order:
            found.append(f"daemon/{folder.name}: not in the foreach(module ...) line of daemon/CMakeLists.txt")
            continue
        for path in source_files(folder):
            for line, target in includes(path):
                problem = daemon_problem(root, order, folder.name, path, target)
                if problem:
                    found.append(f'{path.relative_to(root)}:{line}: "{target}" {problem}')
        found.extend(link_problems(root, order, folder.name))
    for path in source_files(root / "client"):
        for line, target in includes(path):
            problem = client_problem(root, path, target)
            if problem:
                found.append(f'{path.relative_to(root)}:{line}: "{target}" {problem}')
    for path in source_files(root / "pack"):
        for line, target in includes(path):
            problem = pack_problem(root, order, target)
            if problem:
                found.append(f'{path.relative_to(root)}:{line}: "{target}" {problem}')
    return found


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    found = problems(root)
    for problem in found:
        print(problem)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
