# SPDX-License-Identifier: Apache-2.0
"""Compares an unpacked tree with the archive's directory, as Python's zipfile reads it: files, sizes, CRC-32, modes,
symbolic links, nothing missing and nothing more.
"""
import os
import stat
import zipfile
import zlib
from dataclasses import dataclass

OURS = ".tmpdump"  # the manifest's folder, which only tmpdump makes


@dataclass(frozen=True)
class Entry:
    kind: str  # file, link, folder
    size: int
    crc: int
    mode: int
    target: str


def expected(archive_path):
    """{path: Entry} of an archive. Folders that are only implied by names are in it too, without a mode."""
    entries = {}
    with zipfile.ZipFile(archive_path) as archive:
        for info in archive.infolist():
            mode = info.external_attr >> 16
            path = info.filename.rstrip("/")
            if info.is_dir():
                entries[path] = Entry("folder", 0, 0, 0, "")
            elif stat.S_ISLNK(mode):
                entries[path] = Entry("link", 0, 0, 0, archive.read(info).decode())
            else:
                entries[path] = Entry("file", info.file_size, info.CRC, stat.S_IMODE(mode), "")
    for path in list(entries):
        while path := os.path.dirname(path):
            entries.setdefault(path, Entry("folder", 0, 0, 0, ""))
    return entries


def of_tree(root):
    """{path: Entry} of a tree that another program has unpacked: for archives that zipfile cannot read (zstd)."""
    entries = {}
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            full = os.path.join(folder, name)
            path, status = os.path.relpath(full, root), os.lstat(full)
            if stat.S_ISLNK(status.st_mode):
                entries[path] = Entry("link", 0, 0, 0, os.readlink(full))
            elif stat.S_ISDIR(status.st_mode):
                entries[path] = Entry("folder", 0, 0, 0, "")
            else:
                entries[path] = Entry("file", status.st_size, crc_of(full), stat.S_IMODE(status.st_mode), "")
    return entries


def crc_of(path):
    crc = 0
    with open(path, "rb") as file:
        while part := file.read(1 << 20):
            crc = zlib.crc32(part, crc)
    return crc


def compare(root, entries):
    """{kind of difference: [paths]}; kinds: missing, extra, size, content, mode, link."""
    problems = {}

    def report(kind, path):
        problems.setdefault(kind, []).append(path)

    seen = set()
    for folder, folders, files in os.walk(root):
        if folder == str(root) and OURS in folders:
            folders.remove(OURS)
        for name in folders + files:
            seen.add(os.path.relpath(os.path.join(folder, name), root))
    for path in sorted(seen - entries.keys()):
        report("extra", path)
    for path, entry in entries.items():
        full = os.path.join(root, path)
        if path not in seen:
            report("missing", path)
            continue
        status = os.lstat(full)
        if entry.kind == "folder":
            if not stat.S_ISDIR(status.st_mode):
                report("content", path)
        elif entry.kind == "link":
            if not stat.S_ISLNK(status.st_mode) or os.readlink(full) != entry.target:
                report("link", path)
        elif not stat.S_ISREG(status.st_mode):
            report("content", path)
        elif status.st_size != entry.size:
            report("size", path)
        else:
            if crc_of(full) != entry.crc:
                report("content", path)
            if stat.S_IMODE(status.st_mode) != entry.mode:
                report("mode", path)
    return problems


def same_file(path, archive_path):
    """For peers that only download: {} or {"content": [...]}."""
    if os.path.getsize(path) != os.path.getsize(archive_path):
        return {"size": [os.path.basename(path)]}
    return {} if crc_of(path) == crc_of(archive_path) else {"content": [os.path.basename(path)]}


def describe(problems):
    """One line: each kind, how many, and the first path."""
    return "; ".join(f"{kind}: {len(paths)} ({paths[0]!r})" for kind, paths in sorted(problems.items()))
