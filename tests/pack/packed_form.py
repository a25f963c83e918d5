# SPDX-License-Identifier: Apache-2.0
"""proto/packed.md read again, by nobody who wrote the writer: packed_form.check(path) returns {entry: [segment sizes]}.

Decodes each segment from its own bytes alone (zlib for deflate, the zstd program for zstd) and compares with what the entry
says of itself. Any departure is an AssertionError.
"""
import struct
import subprocess
import zipfile
import zlib


def extras(data):
    while len(data) >= 4:
        kind, length = struct.unpack_from("<HH", data)
        assert len(data) >= 4 + length
        yield kind, data[4:4 + length]
        data = data[4 + length:]


def inflate_alone(segment, last):
    engine = zlib.decompressobj(-15)
    content = engine.decompress(segment)
    assert engine.unused_data == b"", "bytes after the end"
    assert engine.eof == last, "BFINAL in the wrong place"
    assert last or segment.endswith(b"\0\0\xff\xff"), "no empty stored block at the end"
    return content


def unzstd_alone(segment, share):
    assert struct.unpack_from("<I", segment)[0] == 0xFD2FB528
    descriptor = segment[4]  # RFC 8878, 3.1.1.1
    size_flag, single = descriptor >> 6, descriptor >> 5 & 1
    at = 5 + (0 if single else 1) + (0, 1, 2, 4)[descriptor & 3]
    width = (1 if single else 0, 2, 4, 8)[size_flag]
    assert width, "the frame does not name its content's size"
    size = int.from_bytes(segment[at:at + width], "little") + (256 if width == 2 else 0)
    assert size == share, "the frame names another size"
    return subprocess.run(["zstd", "-dcq"], input=segment, capture_output=True, check=True).stdout


def check(path):
    found = {}
    with open(path, "rb") as file, zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            index = [data for kind, data in extras(info.extra) if kind == 0x5444]
            file.seek(info.header_offset)
            local = file.read(30)
            name, extra = struct.unpack_from("<HH", local, 26)
            assert all(kind != 0x5444 for kind, _ in extras(file.read(name + extra)[name:])), "a copy in the local header"
            if info.compress_type == 93:
                assert info.extract_version == 63
            if not index:
                found[info.filename] = []
                continue
            assert len(index) == 1 and info.compress_type in (8, 93)
            version, reserved, header_bytes, segment_bytes, count = struct.unpack_from("<BBHII", index[0])
            assert (version, reserved) == (1, 0)
            assert header_bytes == 30 + name + extra
            assert 65536 <= segment_bytes <= 1 << 30 and 2 <= count <= 4096
            assert len(index[0]) == 12 + 4 * count and count == -(-info.file_size // segment_bytes)
            sizes = struct.unpack_from(f"<{count}I", index[0], 12)
            assert sum(sizes) == info.compress_size and min(sizes) >= 1
            file.seek(info.header_offset + header_bytes)
            crc = 0
            for number, size in enumerate(sizes):
                share = min(segment_bytes, info.file_size - number * segment_bytes)
                segment = file.read(size)
                content = (inflate_alone(segment, number == count - 1) if info.compress_type == 8
                           else unzstd_alone(segment, share))
                assert len(content) == share
                crc = zlib.crc32(content, crc)
            assert crc == info.CRC
            found[info.filename] = list(sizes)
    return found
