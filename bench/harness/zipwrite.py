# SPDX-License-Identifier: Apache-2.0
"""Zip archives that the `zip` program cannot make fast or deterministically: repeated deflate blocks, zip64 records.

Layout after APPNOTE 6.3.10: 4.3.7 local header, 4.3.12 central directory, 4.3.14 zip64 end record, 4.3.15 its locator,
4.3.16 end record, 4.5.3 the zip64 extra field.
"""
import stat
import struct
import zlib

DOS_DATE = (2020 - 1980) << 9 | 1 << 5 | 1  # 2020-01-01, local time as the format has it
STORED, DEFLATED = 0, 8
UNIX = 3  # "version made by" host: external attributes carry st_mode


class ZipWriter:
    """Writes entries in call order to a seekable binary file; `with` it: the end is written on a clean exit."""

    def __init__(self, file, always_zip64=False):
        self.file = file
        self.always_zip64 = always_zip64
        self.central = []

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        if kind is None:
            self._finish()

    def add(self, name, chunks, method, crc, packed_size, size, mode=0o644):
        """One regular file. chunks: its bytes as they stand in the archive (already deflated for DEFLATED)."""
        offset = self.file.tell()
        big = self.always_zip64 or max(packed_size, size) >= 0xFFFFFFFF
        extra = struct.pack("<HHQQ", 1, 16, size, packed_size) if big else b""
        sizes = (0xFFFFFFFF, 0xFFFFFFFF) if big else (packed_size, size)
        version = 45 if big else 20
        raw = name.encode()
        self.file.write(struct.pack("<4sHHHHHIIIHH", b"PK\3\4", version, 0x800, method, 0, DOS_DATE, crc, *sizes,
                                    len(raw), len(extra)) + raw + extra)
        start = self.file.tell()
        for chunk in chunks:
            self.file.write(chunk)
        if self.file.tell() - start != packed_size:
            raise ValueError(f"{name}: wrote {self.file.tell() - start} bytes, announced {packed_size}")
        if self.always_zip64 or offset >= 0xFFFFFFFF:
            fields = ([size, packed_size] if big else []) + [offset]
            extra, offset = struct.pack(f"<HH{len(fields)}Q", 1, 8 * len(fields), *fields), 0xFFFFFFFF
        attributes = (stat.S_IFREG | mode) << 16
        self.central.append(struct.pack("<4sBBHHHHHIIIHHHHHII", b"PK\1\2", version, UNIX, version, 0x800, method, 0,
                                        DOS_DATE, crc, *sizes, len(raw), len(extra), 0, 0, 0, attributes, offset)
                            + raw + extra)

    def _finish(self):
        start = self.file.tell()
        self.file.write(b"".join(self.central))
        size, count = self.file.tell() - start, len(self.central)
        if self.always_zip64 or start >= 0xFFFFFFFF or count >= 0xFFFF:
            end = self.file.tell()
            self.file.write(struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, UNIX << 8 | 45, 45, 0, 0, count, count, size, start))
            self.file.write(struct.pack("<4sIQI", b"PK\6\7", 0, end, 1))
            start, size, count = 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFF
        self.file.write(struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, count, count, size, start, 0))


class RepeatedBlock:
    """Deflate streams of any length at disk speed: one block is compressed once and repeated, each repetition behind
    an 8-byte counter in a stored block, so that a lost, doubled or misplaced part changes the CRC.
    """

    def __init__(self, block):
        compressor = zlib.compressobj(6, zlib.DEFLATED, -15)
        # A full flush ends on a byte boundary and forgets history: the result can follow anything.
        self.packed = compressor.compress(block) + compressor.flush(zlib.Z_FULL_FLUSH)
        self.block = block
        self.unit = 8 + len(block)
        self.packed_unit = 5 + 8 + len(self.packed)

    def sizes(self, count):
        """(packed, unpacked) bytes of `count` repetitions."""
        return count * self.packed_unit + 2, count * self.unit

    def crc(self, count):
        value = 0
        for number in range(count):
            value = zlib.crc32(self.block, zlib.crc32(struct.pack("<Q", number), value))
        return value

    def chunks(self, count):
        for number in range(count):
            # RFC 1951, 3.2.4: a stored block: type bits and padding, LEN, its complement, bytes.
            yield struct.pack("<BHHQ", 0, 8, 0xFFFF ^ 8, number)
            yield self.packed
        yield b"\3\0"  # an empty final block (fixed Huffman codes)
