#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Independent opinions about zip files, for zip_oracle_test.cpp.

zip_oracle.py list FILE   one line an entry, as Python's zipfile reads it
zip_oracle.py make DIR    archives of one small tree, by every tool that is installed
"""
import os
import shutil
import stat
import subprocess
import sys
import zipfile
import zlib


def path_of(info):
    # zipfile decodes names without the UTF-8 flag as CP437; on Unix they are the file system's bytes.
    name = info.filename
    if not info.flag_bits & 0x800 and info.create_system in (3, 19):
        try:
            name = name.encode("cp437").decode("utf-8")
        except UnicodeDecodeError:
            pass
    return name.removeprefix("./").rstrip("/")


def list_archive(file):
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            path = path_of(info)
            if not path:
                continue
            mode = info.external_attr >> 16 if info.create_system in (3, 19) else 0
            kind = "directory" if info.is_dir() else "symlink" if stat.S_ISLNK(mode) else "file"
            permissions = mode & 0o777 if mode else 0o755 if info.is_dir() else 0o644
            if info.compress_type != 93:  # reading also checks the CRC
                assert zlib.crc32(archive.read(info)) == info.CRC
            fields = (path, kind, f"{permissions:o}", info.compress_type, f"{info.CRC:08x}", info.compress_size,
                      info.file_size, info.header_offset)
            sys.stdout.buffer.write("|".join(map(str, fields)).encode() + b"\n")


class Pipe:
    """A file that cannot seek: zipfile then writes data descriptors."""

    def __init__(self, file):
        self.file = file

    def write(self, data):
        return self.file.write(data)

    def flush(self):
        self.file.flush()


def write_all(archive, **options):
    for folder, names, files in os.walk("tree"):
        for name in sorted(names + files):
            path = os.path.join(folder, name)
            if os.path.islink(path):
                info = zipfile.ZipInfo(path)
                info.create_system = 3
                info.external_attr = (stat.S_IFLNK | 0o777) << 16
                archive.writestr(info, os.readlink(path))
            elif os.path.isdir(path) or not options:
                archive.write(path)
            else:
                with open(path, "rb") as source, archive.open(path, "w", **options) as target:
                    shutil.copyfileobj(source, target)


def make_tree():
    os.makedirs("tree/lib/grüß")
    os.makedirs("tree/empty folder")
    with open("tree/lib/libx.so.1.2", "wb") as file:
        file.write(bytes(range(256)) * 400)
    os.chmod("tree/lib/libx.so.1.2", 0o750)
    os.symlink("libx.so.1.2", "tree/lib/libx.so.1")
    os.symlink("libx.so.1", "tree/lib/libx.so")
    os.symlink("../libx.so", "tree/lib/grüß/ä.so")
    # A unit's name as systemd escapes it; an accent as macOS writes it.
    for name, content in (("note", b"hello\n"), ("nothing", b""), ("lib/grüß/größe", b"\xff" * 9),
                          ("dev\\x2duuid.swap", b"unit"), ("lib/e\u0301.so", b"apart")):
        with open("tree/" + name, "wb") as file:
            file.write(content)
    os.chmod("tree/note", 0o400)


def make(folder):
    os.chdir(folder)
    os.environ["LC_ALL"] = "C.UTF-8"  # jar and bsdtar must be able to name the files
    make_tree()
    with open("note.sh", "wb") as file:
        file.write(b"#!/bin/sh\nexit 0\n")
    deflated = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile("python.zip", "w", deflated) as archive:
        write_all(archive)
        archive.comment = b"a comment"
    with zipfile.ZipFile("python-zip64.zip", "w", deflated) as archive:
        write_all(archive, force_zip64=True)
    with open("python-streamed.zip", "wb") as file, zipfile.ZipFile(Pipe(file), "w", deflated) as archive:
        write_all(archive)
    with open("python-stub.zip", "wb") as file:
        file.write(b"#!/bin/sh\nexit 0\n")
    with zipfile.ZipFile("python-stub.zip", "a") as archive:
        write_all(archive)
    with open("python-prefixed.zip", "wb") as file, open("python.zip", "rb") as plain:
        file.write(b"#!/bin/sh\nexit 0\n" + plain.read())
    for name, tool, command in (
            ("zip", "zip", "zip -q -y -r zip.zip tree"),
            ("zip, zip64", "zip", "zip -q -y -r -fz zip64.zip tree"),
            ("zip, where nothing says UTF-8", "zip", "LC_ALL=POSIX zip -q -y -r zip-posix.zip tree"),
            ("zip, with a comment", "zip", "echo a comment | zip -q -y -r -z zip-comment.zip tree >zip-comment.out"),
            ("zip, made self-extracting", "zip", "cat note.sh zip.zip > zip-stub.zip && zip -q -A zip-stub.zip"),
            ("7z", "7z", "7z a -tzip -bso0 -snl 7z.zip tree"),
            ("zip, into a pipe", "zip", "zip -q -r - tree | cat > zip-piped.zip"),
            ("zip, names without folders' entries", "zip", "find ./tree -type f | zip -q -D -@ zip-files.zip"),
            ("bsdtar", "bsdtar", "bsdtar -c -f bsdtar.zip --format zip ./tree"),
            ("bsdtar, the folder itself", "bsdtar", "bsdtar -c -f bsdtar-dot.zip --format zip -C tree ."),
            ("jar", "jar", "jar -cfM jar.zip tree"),
    ):
        if shutil.which(tool):
            subprocess.run(command, shell=True, check=True)
        else:
            print(f"skipped: {name}", file=sys.stderr)


if __name__ == "__main__":
    {"list": list_archive, "make": make}[sys.argv[1]](sys.argv[2])
