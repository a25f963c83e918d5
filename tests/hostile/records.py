# SPDX-License-Identifier: Apache-2.0
"""Zip files record by record, with every field a place that can be changed: a writer of its own, from APPNOTE 6.3.10,
that shares nothing with daemon/zip and the tests' C++ builder."""
import struct
import zlib
from dataclasses import dataclass, field

DESCRIPTOR, UTF8 = 1 << 3, 1 << 11
REGULAR, LINK, FOLDER = 0o100644, 0o120777, 0o040755

# name, bytes (4.3.7, 4.3.12, 4.3.16, 4.3.14, 4.3.15, 4.3.9)
LOCAL = (("signature", 4), ("version", 2), ("flags", 2), ("method", 2), ("time", 2), ("date", 2), ("crc", 4),
         ("compressed_size", 4), ("size", 4), ("name_length", 2), ("extra_length", 2))
CENTRAL = (("signature", 4), ("version_made_by", 1), ("host", 1), ("version", 2), ("flags", 2), ("method", 2),
           ("time", 2), ("date", 2), ("crc", 4), ("compressed_size", 4), ("size", 4), ("name_length", 2),
           ("extra_length", 2), ("comment_length", 2), ("disk", 2), ("internal_attributes", 2),
           ("external_attributes", 4), ("offset", 4))
END = (("signature", 4), ("disk", 2), ("directory_disk", 2), ("entries_on_disk", 2), ("entries", 2),
       ("directory_size", 4), ("directory_offset", 4), ("comment_length", 2))
END64 = (("signature", 4), ("remaining_size", 8), ("version_made_by", 2), ("version", 2), ("disk", 4),
         ("directory_disk", 4), ("entries_on_disk", 8), ("entries", 8), ("directory_size", 8),
         ("directory_offset", 8))
LOCATOR64 = (("signature", 4), ("disk", 4), ("end64_offset", 8), ("disks", 4))
ZIP64_LOCAL = (("id", 2), ("length", 2), ("size", 8), ("compressed_size", 8))
ZIP64_CENTRAL = ZIP64_LOCAL + (("offset", 8),)
UNICODE_PATH = (("id", 2), ("length", 2), ("version", 1), ("crc", 4))  # 4.6.9; the name follows
DESCRIPTOR32 = (("signature", 4), ("crc", 4), ("compressed_size", 4), ("size", 4))
DESCRIPTOR64 = (("signature", 4), ("crc", 4), ("compressed_size", 8), ("size", 8))
WIDTHS = {1: "B", 2: "H", 4: "I", 8: "Q"}


def deflate(data, level=9):
    stream = zlib.compressobj(level, zlib.DEFLATED, -15)
    return stream.compress(data) + stream.flush()


@dataclass
class Entry:
    name: bytes
    content: bytes = b""
    method: int = 8
    mode: int = REGULAR
    host: int = 3
    streamed: bool = False  # bit 3: sizes and CRC in a descriptor, zeros in the local header
    wide: bool = False  # sizes in zip64 extra fields; a descriptor of 64 bits
    flags: int = 0
    data: bytes = None  # as stored; None: content, compressed by the method
    central_extra: bytes = b""
    local_extra: bytes = b""
    comment: bytes = b""
    local: dict = field(default_factory=dict)  # fields that lie
    central: dict = field(default_factory=dict)
    descriptor: dict = field(default_factory=dict)
    local_name: bytes = None
    at: int = None  # the central header's offset points there instead


def pack(layout, values):
    return struct.pack("<" + "".join(WIDTHS[size] for _, size in layout), *(values[name] for name, _ in layout))


def extra(number, data):
    return struct.pack("<HH", number, len(data)) + data


def unicode_path(raw, name, version=1):
    return extra(0x7075, struct.pack("<BI", version, zlib.crc32(raw)) + name)


class Archive:
    """bytes, and places: (record, field) -> (offset, width) of every field written."""

    def __init__(self, *entries, comment=b"", zip64=False, prefix=b"", end=None, end64=None, locator64=None,
                 before_directory=b""):
        self.places = {}
        self.bytes = bytearray(prefix)
        offsets = []
        for number, entry in enumerate(entries):
            offsets.append(len(self.bytes) if entry.at is None else entry.at)
            if entry.at is None:
                self._entry(number, entry)
        self.bytes += before_directory
        begin = len(self.bytes)
        for number, (entry, offset) in enumerate(zip(entries, offsets)):
            self._central(number, entry, offset)
        size = len(self.bytes) - begin
        if zip64:
            at = len(self.bytes)
            self._put("end64", END64, dict(signature=0x06064B50, remaining_size=44, version_made_by=0x32D, version=45,
                                           disk=0, directory_disk=0, entries_on_disk=len(entries),
                                           entries=len(entries), directory_size=size, directory_offset=begin)
                      | (end64 or {}))
            self._put("locator64", LOCATOR64, dict(signature=0x07064B50, disk=0, end64_offset=at, disks=1)
                      | (locator64 or {}))
        full = (0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF) if zip64 else (len(entries) & 0xFFFF, size, begin)
        self._put("end", END, dict(signature=0x06054B50, disk=0, directory_disk=0, entries_on_disk=full[0],
                                   entries=full[0], directory_size=full[1], directory_offset=full[2],
                                   comment_length=len(comment)) | (end or {}))
        self.bytes += comment

    def _note(self, record, layout, at):
        for name, width in layout:
            self.places[record, name] = (at, width)
            at += width

    def _put(self, record, layout, values):
        self._note(record, layout, len(self.bytes))
        self.bytes += pack(layout, values)

    def _put_extra(self, record, items, zip64_layout, zip64):
        """The entry's own items, then the zip64 item."""
        if items.startswith(struct.pack("<H", 0x7075)):
            self._note(f"unicode path of {record}", UNICODE_PATH, len(self.bytes))
        self.bytes += items
        if zip64:
            self._note(f"zip64 of {record}", zip64_layout, len(self.bytes))
        self.bytes += zip64

    @staticmethod
    def _data(entry):
        if entry.data is not None:
            return entry.data
        return deflate(entry.content) if entry.method == 8 else entry.content

    def _entry(self, number, entry):
        data, crc = self._data(entry), zlib.crc32(entry.content)
        known = not entry.streamed
        wide = b""
        if entry.wide:
            wide = extra(1, struct.pack("<QQ", len(entry.content) * known, len(data) * known))
        name = entry.name if entry.local_name is None else entry.local_name
        record = f"local {number}"
        self._put(record, LOCAL, dict(
            signature=0x04034B50, version=45 if entry.wide else 20, flags=entry.flags | DESCRIPTOR * entry.streamed,
            method=entry.method, time=0, date=0x5821, crc=crc * known,
            compressed_size=0xFFFFFFFF if entry.wide else len(data) * known,
            size=0xFFFFFFFF if entry.wide else len(entry.content) * known, name_length=len(name),
            extra_length=len(entry.local_extra + wide)) | entry.local)
        self.bytes += name
        self._put_extra(record, entry.local_extra, ZIP64_LOCAL, wide)
        self.bytes += data
        if entry.streamed:
            layout = DESCRIPTOR64 if entry.wide else DESCRIPTOR32
            self._put(f"descriptor {number}", layout, dict(
                signature=0x08074B50, crc=crc, compressed_size=len(data), size=len(entry.content)) | entry.descriptor)

    def _central(self, number, entry, offset):
        data = self._data(entry)
        wide = b""
        if entry.wide:
            wide = extra(1, struct.pack("<QQQ", len(entry.content), len(data), offset))
        full = 0xFFFFFFFF
        record = f"central {number}"
        self._put(record, CENTRAL, dict(
            signature=0x02014B50, version_made_by=30, host=entry.host, version=45 if entry.wide else 20,
            flags=entry.flags | DESCRIPTOR * entry.streamed, method=entry.method, time=0, date=0x5821,
            crc=zlib.crc32(entry.content), compressed_size=full if entry.wide else len(data),
            size=full if entry.wide else len(entry.content), name_length=len(entry.name),
            extra_length=len(entry.central_extra + wide), comment_length=len(entry.comment), disk=0, internal_attributes=0,
            external_attributes=(entry.mode << 16) | (0x10 if entry.mode & 0o040000 else 0),
            offset=full if entry.wide else offset) | entry.central)
        self.bytes += entry.name
        self._put_extra(record, entry.central_extra, ZIP64_CENTRAL, wide)
        self.bytes += entry.comment

    def changed(self, record, name, value):
        at, width = self.places[record, name]
        out = bytearray(self.bytes)
        out[at:at + width] = value.to_bytes(width, "little")
        return bytes(out)

    def value(self, record, name):
        at, width = self.places[record, name]
        return int.from_bytes(self.bytes[at:at + width], "little")
