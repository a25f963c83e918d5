# SPDX-License-Identifier: Apache-2.0
"""Reads a manifest as proto/manifest.md describes it; a second reader, written from that page alone. Times are seconds of
CLOCK_MONOTONIC, None where it did not happen.
"""
import struct
from dataclasses import dataclass

READY, FAILED, PUBLISHED, FILE = 3, 4, 1, 0


@dataclass
class Entry:
    path: str
    size: int
    kind: int
    state: int
    published: float
    first_wait: float


@dataclass
class Manifest:
    generation: int
    state: int
    reason: str
    started: float
    listed: float
    finished: float
    entries: list


def seconds(nanoseconds):
    return nanoseconds / 1e9 if nanoseconds else None


def read(path):
    data = path.read_bytes()
    magic, major, _, _, generation, state = struct.unpack_from("<8sHHIQI", data, 0)
    if magic != b"tmpdump\n" or major != 1:
        raise ValueError(f"{path} is no manifest of version 1")
    started, listed, finished = struct.unpack_from("<3Q", data, 32)
    reason_size, = struct.unpack_from("<I", data, 80)
    reason = data[512:512 + reason_size].decode(errors="replace")
    count, = struct.unpack_from("<I", data, 232)
    entries_at, progress_at, _, _, strings_at = struct.unpack_from("<5Q", data, 240)
    entries = []
    for index in range(count if entries_at else 0):
        size, _, kind, name_at, name_size = struct.unpack_from("<QIIII", data, entries_at + 32 * index)
        entry_state, _, _, _, published, waited = struct.unpack_from("<4I2Q", data, progress_at + 64 * index)
        name = data[strings_at + name_at:strings_at + name_at + name_size].decode(errors="replace")
        entries.append(Entry(name, size, kind, entry_state, seconds(published), seconds(waited)))
    return Manifest(generation, state, reason, seconds(started), seconds(listed), seconds(finished), entries)
