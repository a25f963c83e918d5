# SPDX-License-Identifier: Apache-2.0
"""What a start finds at the destination and in the bucket, and how it gets there."""
import json
import os
import random
import subprocess

from extension_harness import archives, case
from extension_harness.case import TOKEN
from extension_harness.credentials import Credentials

BEFORE = "before.zip"  # in the bucket: the predecessor's archive


class Scenario:
    """The archive is at `endpoint`; `wanted` is the tree that comes of it."""
    name, settings = "", {}

    def __init__(self, wanted, endpoint):
        self.wanted, self.endpoint = wanted, endpoint

    def prepare(self, sweep):
        """What a predecessor did to the empty destination."""

    def check_healthy(self, log):
        """Does a start with nothing in its way do what this scenario is about?"""
        if log.objects("tmpdump.ready")[0]["kept"] != 0:
            raise AssertionError("something was kept at a destination that was empty")


class OverAnother(Scenario):
    """Another archive has been there: some of it is replaced, some removed, folders and files stand in each other's place."""
    name = "over another archive"

    def prepare(self, sweep):
        sweep.complete(TMPDUMP_URI=f"s3://{case.BUCKET}/{BEFORE}")


class OverItself(Scenario):
    """All has been there, then somebody changed a file: the rest is kept. It writes a trace."""
    name = "over the same archive"
    settings = {"TMPDUMP_TRACE": os.devnull}
    changed = "lib/stored.so"

    def prepare(self, sweep):
        sweep.complete()
        path = sweep.destination / self.changed
        path.unlink()
        path.write_bytes(b"changed")

    def check_healthy(self, log):
        kept = log.objects("tmpdump.ready")[0]["kept"]
        if kept != len(self.wanted) - len(implied()) - 1:
            raise AssertionError(f"{kept} of {len(self.wanted)} were kept")


class Packed(Scenario):
    """A packed archive, of zstd and in segments, over TLS, with keys from an endpoint."""
    name = "packed, TLS, keys of a container"


def content():
    chance = random.Random(7)
    return {"lib": ("folder", 0o755, b""), "empty": ("folder", 0o500, b""),
            "lib/stored.so": ("file", 0o755, chance.randbytes(60_000)),
            "lib/large.so": ("file", 0o644, chance.randbytes(300_000)),  # its space is reserved
            "lib/text.so": ("file", 0o444, b"text " * 30_000),
            "lib/link.so": ("link", 0o777, b"large.so"),
            "deep/down/implied.so": ("file", 0o644, chance.randbytes(1000)),
            "nothing": ("file", 0o600, b"")}


def implied():
    """Folders that the archive does not name."""
    return {"deep": ("folder", 0o755, b""), "deep/down": ("folder", 0o755, b"")}


def content_before():
    chance = random.Random(8)
    return {"lib": ("folder", 0o700, b""),
            "lib/stored.so": ("file", 0o644, chance.randbytes(50_000)),  # replaced
            "lib/gone.so": ("file", 0o644, chance.randbytes(2000)),
            "lib/link.so": ("link", 0o777, b"gone.so"),
            "lib/text.so/inside/gone": ("file", 0o644, b"where there will be a file"),
            "deep": ("file", 0o644, b"where there will be a folder"),
            "old": ("folder", 0o700, b""), "old/gone": ("link", 0o777, b"../lib/gone.so"),
            "nothing": ("file", 0o600, b"")}


def unpacked(test, origin):
    """The scenarios of an archive as any zip program makes it."""
    wanted = content()
    archives.write(test.archive, wanted)
    archives.write(test.archive.with_name(BEFORE), content_before())
    for kind in Scenario, OverAnother, OverItself:
        yield kind({**wanted, **implied()}, origin.endpoint)


def packed(test):
    chance = random.Random(9)
    words = [chance.randbytes(24) for _ in range(64)]
    wanted = {"lib": ("folder", 0o755, b""), "lib/link.bin": ("link", 0o777, b"large.bin"),
              "lib/large.bin": ("file", 0o644, b"".join(chance.choice(words) for _ in range(10_000))),
              "lib/small.bin": ("file", 0o755, b"small " * 500)}
    source, made = test.folder / "source", test.bucket.parent / "packed" / case.BUCKET
    (source / "lib").mkdir(parents=True)
    made.mkdir(parents=True)
    for name, (kind, mode, data) in wanted.items():
        if kind == "file":
            (source / name).write_bytes(data)
            (source / name).chmod(mode)
    (source / "lib/link.bin").symlink_to("large.bin")
    tmpdump = str(case.build / "bin" / "tmpdump")
    subprocess.run([tmpdump, "pack", "lib", "-o", made / "function.zip", "--segment-size", "64K", "--fast", "--quiet"],
                   cwd=source, check=True, stdin=subprocess.DEVNULL)
    listed = json.loads(subprocess.run([tmpdump, "ls", "--json", made / "function.zip"], check=True, capture_output=True).stdout)
    (large,) = [entry for entry in listed["entries"] if entry["path"] == "lib/large.bin"]
    test.assertGreater(large["segments"], 2)
    authority, credentials = test.folder / "authority.pem", Credentials(TOKEN)
    test.addCleanup(credentials.close)
    origin = test.start_origin(folder=made.parent, session_token=TOKEN, tls=True, ca_file=authority)
    scenario = Packed(wanted, origin.endpoint)
    scenario.settings = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None, "AWS_CA_BUNDLE": str(authority),
                         "AWS_CONTAINER_CREDENTIALS_FULL_URI": credentials.uri}
    return scenario


def all_of(test):
    return [*unpacked(test, test.start_origin()), packed(test)]
