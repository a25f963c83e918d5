# SPDX-License-Identifier: Apache-2.0
"""Archives with every kind of entry, and what must be at the destination once they are unpacked."""
import os
import random
import stat
import zipfile


def entries(seed, files=30, size=200_000):
    """{path: (kind, mode, content)}, kind "file", "link" or "folder"; the link's content is its target."""
    chance = random.Random(seed)
    made = {"lib": ("folder", 0o755, b""), "empty": ("folder", 0o700, b"")}
    for number in range(files):
        length = chance.choice((0, 1, 1000, size // 4, size, 3 * size))
        content = chance.randbytes(length)
        if number % 3 == 0:  # deflates well
            content = content[:100] * (length // 100)
        made[f"lib/lib{number}.so"] = ("file", chance.choice((0o644, 0o755, 0o600, 0o444)), content)
        if number % 5 == 0:
            made[f"lib/link{number}.so"] = ("link", 0o777, f"lib{number}.so".encode())
    return made


def write(path, made):
    """Replaces `path` at once, as S3 does."""
    new = path.with_name(path.name + ".new")
    with zipfile.ZipFile(new, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, (kind, mode, content) in made.items():
            info = zipfile.ZipInfo(name + ("/" if kind == "folder" else ""))
            info.create_system = 3
            info.external_attr = ({"file": stat.S_IFREG, "link": stat.S_IFLNK, "folder": stat.S_IFDIR}[kind] | mode) << 16
            info.compress_type = zipfile.ZIP_DEFLATED if kind == "file" else zipfile.ZIP_STORED
            archive.writestr(info, content)
    new.rename(path)


def found(destination):
    """What is there, in the form of entries(), without our own .tmpdump."""
    seen = {}
    for folder, folders, files in os.walk(destination):
        if folder == str(destination):
            folders[:] = [name for name in folders if name != ".tmpdump"]
        for name in [*folders, *files]:
            path = os.path.join(folder, name)
            status = os.lstat(path)
            mode, key = stat.S_IMODE(status.st_mode), os.path.relpath(path, destination)
            if stat.S_ISLNK(status.st_mode):
                seen[key] = ("link", 0o777, os.readlink(path).encode())
            elif stat.S_ISDIR(status.st_mode):
                seen[key] = ("folder", mode, b"")
            else:
                with open(path, "rb") as file:
                    seen[key] = ("file", mode, file.read())
    return seen


def difference(seen, wanted, partial=False):
    """Why `seen` is not what it should be, "" if it is. partial: some may be missing, and folders' modes come last."""
    for path, (kind, mode, content) in seen.items():
        if path not in wanted:
            return f"{path} is not in the archive"
        if kind != wanted[path][0] or content != wanted[path][2]:
            return f"{path} is not whole: {kind} of {len(content)} bytes, not {wanted[path][0]} of {len(wanted[path][2])}"
        if mode != wanted[path][1] and not (partial and kind == "folder"):
            return f"{path} has mode {mode:o}, not {wanted[path][1]:o}"
    missing = [] if partial else sorted(set(wanted) - set(seen))
    return f"missing: {missing}" if missing else ""
