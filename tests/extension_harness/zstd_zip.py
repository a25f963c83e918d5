# SPDX-License-Identifier: Apache-2.0
"""A zip of zstd entries with a window of 8 MiB, as `zstd -19` makes them, without a compressor: RFC 8878 has blocks that
are stored, and blocks of one byte that is repeated.
"""
import struct
import zlib

BLOCK = 128 << 10
STORED, REPEATED = 0, 1


def frame(content):
    made = bytearray(b"\x28\xb5\x2f\xfd" + bytes([0, (23 - 10) << 3]))  # no size, no checksum; window of 2 ** 23
    for at in range(0, len(content), BLOCK):
        block = content[at:at + BLOCK]
        kind = REPEATED if block == block[:1] * len(block) else STORED
        last = at + BLOCK >= len(content)
        made += struct.pack("<I", last | kind << 1 | len(block) << 3)[:3] + (block[:1] if kind == REPEATED else block)
    return bytes(made)


def write(path, files):
    """files: {name: content}, none of them empty."""
    body, directory = bytearray(), bytearray()
    for name, content in files.items():
        packed, raw = frame(content), name.encode()
        common = struct.pack("<HHHHHIIIHH", 63, 0, 93, 0, 0x21, zlib.crc32(content), len(packed), len(content), len(raw), 0)
        directory += struct.pack("<4sH", b"PK\1\2", 0x33F) + common
        directory += struct.pack("<HHHII", 0, 0, 0, 0o100644 << 16, len(body)) + raw
        body += b"PK\3\4" + common + raw + packed
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, len(files), len(files), len(directory), len(body), 0)
    path.write_bytes(body + directory + end)
