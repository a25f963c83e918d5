# SPDX-License-Identifier: Apache-2.0
"""Archives that somebody with bad intentions, or a bad program, might have made. Each has a name, a group, and whether it
is legal: what APPNOTE allows and every reader should take for the same."""
import struct
from dataclasses import dataclass

from quine import quine
from records import FOLDER, LINK, UTF8, Archive, Entry, deflate, extra, unicode_path

TEXT = b"some text, some more text, some more text"


@dataclass
class Case:
    group: str
    name: str
    data: bytes
    legal: bool = False


def base_entries():
    return [Entry(b"lib/", mode=FOLDER, method=0), Entry(b"lib/a.so", TEXT), Entry(b"stored", b"0123456789", method=0),
            Entry(b"streamed", TEXT * 2, streamed=True)]


def base():
    return Archive(*base_entries(), comment=b"note")


def base64():
    return Archive(Entry(b"a", TEXT, wide=True), Entry(b"b", TEXT, wide=True, streamed=True), zip64=True)


def with_unicode_path():
    item = unicode_path(b"gr\x81\xe1", "grüß".encode())
    return Archive(Entry(b"gr\x81\xe1", TEXT, host=0, central_extra=item, local_extra=item))


def overlapping():
    whole = Archive(Entry(b"a", TEXT, method=0), Entry(b"b", TEXT, method=0))
    second = whole.places["local 1", "signature"][0]
    yield "two entries, one local header", Archive(Entry(b"a", TEXT), Entry(b"b", TEXT, at=0))
    yield "two names for one local header", Archive(Entry(b"a", TEXT), Entry(b"a", TEXT, at=0))
    # The first entry's data are the second entry: header and all (Fifield's better zip bomb, "quoting").
    inner = bytes(whole.bytes[second:whole.places["central 0", "signature"][0]])
    quoted = Entry(b"q", inner, method=0)
    outer = Archive(quoted)
    at = outer.places["local 0", "extra_length"][0] + 2 + 1
    yield "an entry inside of another's data", Archive(quoted, Entry(b"b", TEXT, method=0, at=at))
    yield "data that reach into the next header", Archive(
        Entry(b"a", TEXT, method=0, central={"compressed_size": len(TEXT) + 8, "size": len(TEXT) + 8},
              local={"compressed_size": len(TEXT) + 8, "size": len(TEXT) + 8}), Entry(b"b", TEXT))
    yield "data that reach into the directory", Archive(
        Entry(b"a", TEXT, method=0, central={"compressed_size": len(TEXT) + 8, "size": len(TEXT) + 8},
              local={"compressed_size": len(TEXT) + 8, "size": len(TEXT) + 8}))
    zeros = b"\0" * 100_000
    yield "a hundred entries of the same data", Archive(
        Entry(b"0", zeros), *(Entry(b"%d" % n, zeros, at=0) for n in range(1, 100)))


def bombs():
    zeros = b"\0" * (4 << 20)
    yield "ratio: 4 MiB of zeros", Archive(Entry(b"a", zeros)).bytes, True
    yield "ratio: size beyond what deflate can expand to", Archive(
        Entry(b"a", TEXT, central={"size": 0xFFFFFFF0}, local={"size": 0xFFFFFFF0})).bytes, False
    yield "ratio: stored, size larger than the data", Archive(
        Entry(b"a", TEXT, method=0, central={"size": 1 << 30}, local={"size": 1 << 30})).bytes, False
    yield "ratio: more comes out than the size says", Archive(
        Entry(b"a", b"\0" * 10, data=deflate(b"\0" * 100_000))).bytes, False
    yield "ratio: zip64 size of 2^63", Archive(Entry(
        b"a", TEXT, central={"size": 0xFFFFFFFF}, local={"size": 0xFFFFFFFF},
        central_extra=extra(1, struct.pack("<Q", 1 << 63)), local_extra=extra(1, struct.pack("<QQ", 1 << 63, 20)))).bytes, False
    yield "count: 65535 counted, one there", Archive(
        Entry(b"a", TEXT), end={"entries": 65535, "entries_on_disk": 65535}).bytes, False
    yield "count: 2^40 counted (zip64)", Archive(
        Entry(b"a", TEXT), zip64=True, end64={"entries": 1 << 40, "entries_on_disk": 1 << 40}).bytes, False
    yield "count: one counted, two there", Archive(
        Entry(b"a", TEXT), Entry(b"b", TEXT), end={"entries": 1, "entries_on_disk": 1}).bytes, False
    yield "count: two counted, one there", Archive(
        Entry(b"a", TEXT), end={"entries": 2, "entries_on_disk": 2}).bytes, False
    yield "count: 300 empty files", Archive(*(Entry(b"f%d" % n, method=0) for n in range(300))).bytes, True
    yield "count: 200001 headers of one folder", many(200_001), False
    yield "nested: 2000 folders deep", Archive(Entry(b"d/" * 2000 + b"f", TEXT)).bytes, True
    yield "nested: 100 folders deep", Archive(Entry(b"d/" * 100 + b"f", TEXT)).bytes, True
    yield "nested: an archive in an archive", Archive(Entry(b"a.zip", bytes(base().bytes), method=0)).bytes, True
    yield "path: a name of 255 bytes", Archive(Entry(b"n" * 255, TEXT)).bytes, True
    yield "path: a name of 256 bytes", Archive(Entry(b"n" * 256, TEXT)).bytes, False
    for size in 4096, 4097:
        name = (b"n" * 255 + b"/") * 15 + b"f/" * 127 + b"f" * (size - 4094)  # unzip, which cuts names, finds these too long all the same
        yield f"path: a name of {size} bytes", Archive(Entry(name, TEXT)).bytes, size == 4096
    yield "path: a name of 65535 bytes", Archive(Entry(b"n" * 65535, TEXT)).bytes, False


def many(count):
    """Headers of an entry that is there once, without making each: nobody makes a file of any, so that it takes seconds."""
    one = Archive(Entry(b"d/", mode=FOLDER, method=0), zip64=True)
    begin, end = (one.places[record, "signature"][0] for record in ("central 0", "end64"))
    for name, value in (("entries", count), ("entries_on_disk", count), ("directory_size", count * (end - begin))):
        one.bytes = bytearray(one.changed("end64", name, value))
    one.bytes = bytearray(one.changed("locator64", "end64_offset", begin + count * (end - begin)))
    return one.bytes[:begin] + one.bytes[begin:end] * count + one.bytes[end:]


def nested():
    """What a reader that unpacks what it has unpacked has much to do with."""
    inner = bytes(Archive(Entry(b"r/r.zip", TEXT)).bytes)
    for _ in range(20):
        inner = bytes(Archive(Entry(b"r/r.zip", inner)).bytes)
    return inner


def lying_sizes():
    data = deflate(TEXT)
    for name, values in (("size", (0, 1, len(TEXT) - 1, len(TEXT) + 1, 0x7FFFFFFF, 0xFFFFFFFF)),
                         ("compressed_size", (0, 1, len(data) - 1, len(data) + 1, 0x7FFFFFFF, 0xFFFFFFFF)),
                         ("crc", (0, 1, 0xFFFFFFFF))):
        for value in values:
            for where in ("local", "central", "descriptor", "local and central"):
                lies = {place: {name: value} for place in where.split(" and ")}
                streamed = "descriptor" in lies
                yield f"{name} {value:#x}: {where}", Archive(Entry(b"a", TEXT, streamed=streamed, **lies), Entry(b"b", TEXT))


def zip64_oddities():
    size, data = len(TEXT), deflate(TEXT)
    full = 0xFFFFFFFF

    def one(item, **central):
        return Archive(Entry(b"a", TEXT, central=central, central_extra=item))
    yield "extra field, nothing saturated", one(extra(1, struct.pack("<QQ", size, len(data)))), True
    yield "extra field, nothing saturated, and it lies", one(extra(1, struct.pack("<QQ", 7, 7))), False
    yield "saturated size, no extra field", one(b"", size=full), False
    yield "saturated size, extra field too short", one(extra(1, b"\x29\0\0\0"), size=full), False
    yield "extra field twice", one(extra(1, struct.pack("<Q", size)) + extra(1, struct.pack("<Q", 7)), size=full), False
    yield "extra field that overruns", one(struct.pack("<HH", 1, 900) + b"\0" * 8, size=full), False
    yield "central alone saturated", one(extra(1, struct.pack("<QQ", size, len(data))), size=full, compressed_size=full), True
    yield "offset beyond the file", one(extra(1, struct.pack("<Q", 1 << 50)), offset=full), False
    yield "offset that overflows", one(extra(1, struct.pack("<Q", (1 << 64) - 1)), offset=full), False
    yield "disk in the extra field", one(extra(1, struct.pack("<I", 0)), disk=0xFFFF), True
    yield "another disk in the extra field", one(extra(1, struct.pack("<I", 3)), disk=0xFFFF), False
    whole = base64()
    yield "all of it", whole, True
    entries = [Entry(b"a", TEXT)]
    yield "end records of zip64 that were not needed", Archive(*entries, zip64=True), True
    yield "locator that points elsewhere", Archive(*entries, zip64=True, locator64={"end64_offset": 3}), False
    yield "no disk", Archive(*entries, zip64=True, locator64={"disks": 0}), False
    yield "two disks", Archive(*entries, zip64=True, locator64={"disks": 2}), False
    yield "record's size is a lie", Archive(*entries, zip64=True, end64={"remaining_size": 1 << 60}), False
    yield "both end records say something, and differ", Archive(*entries, zip64=True, end={"entries": 7, "entries_on_disk": 7}), False
    yield "both end records say the same", Archive(*entries, zip64=True, end={"entries": 1, "entries_on_disk": 1}), True
    yield "directory offset that overflows", Archive(*entries, zip64=True, end64={"directory_offset": (1 << 64) - 8}), False


def links():
    def link(name, target):
        return Entry(name, target, mode=LINK, method=0)
    yield "to a neighbour", Archive(Entry(b"lib/x.so.1", TEXT), link(b"lib/x.so", b"x.so.1")), True
    yield "chain", Archive(Entry(b"f", TEXT), link(b"l1", b"f"), link(b"l2", b"l1"), link(b"l3", b"l2")), True
    yield "loop of two", Archive(link(b"a", b"b"), link(b"b", b"a")), True
    yield "to itself", Archive(link(b"a", b"a")), True
    yield "to a folder above, inside", Archive(Entry(b"lib/x", TEXT), link(b"bin/x", b"../lib/x")), True
    yield "out of the destination", Archive(link(b"a", b"../victim")), True
    yield "out, by a long way round", Archive(link(b"a/b/c", b"../../../victim")), True
    yield "absolute", Archive(link(b"a", b"/etc/passwd")), True
    yield "up after a name", Archive(link(b"a", b"lib/../../victim")), True
    yield "chain that leaves step by step", Archive(link(b"a", b"."), link(b"b", b"a/../.."), link(b"c", b"b/victim")), True
    yield "a file through a link", Archive(link(b"a", b".."), Entry(b"a/victim", TEXT)), False
    yield "a file through a link that comes later", Archive(Entry(b"a/victim", TEXT), link(b"a", b"..")), False
    yield "a file through a link of the same name", Archive(link(b"a", b"../victim"), Entry(b"a", TEXT)), False
    yield "a file through a link inside", Archive(Entry(b"real/x", b"1"), link(b"l", b"real"), Entry(b"l/y", TEXT)), False
    yield "empty target", Archive(link(b"a", b"")), False
    yield "NUL in the target", Archive(link(b"a", b"b\0c")), False
    yield "target of 5000 bytes", Archive(link(b"a", b"t" * 5000)), False
    yield "into our own folder", Archive(link(b"a", b".tmpdump/x")), True
    yield "name with a slash at its end", Archive(Entry(b"a/", b"b", mode=LINK, method=0)), False
    yield "made by OS X (19)", Archive(Entry(b"a", b"b", mode=LINK, host=19, method=0)), True
    yield "made by DOS, which has none", Archive(Entry(b"a", b"b", mode=LINK, host=0, method=0)), True


def names():
    def one(name, **options):
        return Archive(Entry(name, TEXT, **options))
    yield "absolute", one(b"/tmp/tmpdump-hostile-absolute"), False
    yield "one up", one(b"../victim"), False
    yield "up, hidden", one(b"a/../../victim"), False
    yield "up and back", one(b"a/../b"), False
    yield "up, with backslashes", one(b"..\\victim", host=0), False
    yield "backslash, from Unix", one(b"a\\b"), True
    yield "backslash in a folder, from Unix", one(b"lib/dev\\x2duuid.swap"), True
    yield "backslash, from DOS", one(b"a\\b", host=0), False
    yield "backslash, from NTFS", one(b"a\\b", host=10), False
    yield "backslash in a folder, from DOS", one(b"lib/a\\b", host=0), True
    yield "drive letter", one(b"C:/x", host=0), True
    yield "drive letter, from Unix", one(b"c:x"), True
    yield "drive letter in a folder", one(b"d/C:x", host=0), True
    yield "two letters and a colon", one(b"ab:x", host=0), True
    yield "dot", one(b"."), False
    yield "two dots", one(b".."), False
    yield "dot in the middle", one(b"a/./b"), False
    yield "slash twice", one(b"a//b"), False
    yield "dot in front", one(b"./a"), True
    yield "empty", one(b""), False
    yield "NUL", one(b"a\0b"), False
    yield "our own folder", one(b".tmpdump/manifest"), True
    yield "line feed", one(b"a\nb: error"), True
    yield "carriage return, as of macOS's icons", one(b"Icon\r"), True
    yield "tab", one(b"a\tb"), True
    yield "escape sequence", one(b"\x1b[2J\x1b[1;31mred"), True
    yield "escape sequence, flagged as UTF-8", one(b"\x1b[2J", flags=UTF8), True
    yield "escape sequence in a name that leads up", one(b"../\x1b[2Jx"), False
    yield "delete", one(b"a\x7fb"), True
    yield "next line (U+0085)", one("a\u0085b".encode(), flags=UTF8), True
    yield "zero width space", one("a\u200bb".encode(), flags=UTF8), True
    yield "trailing blank", one(b"a "), True
    yield "CP437, from DOS", one(b"gr\x81\xe1.so", host=0), True
    yield "CP437, from NTFS", one(b"gr\x81\xe1.so", host=10), True
    yield "CP437, from Unix", one(b"gr\x81\xe1.so"), True
    yield "Latin-1, from Unix", one(b"gr\xfc\xdf.so"), False
    yield "UTF-8, not flagged, from Unix", one("grüß.so".encode()), True
    yield "UTF-8, not flagged, from DOS", one("grüß.so".encode(), host=0), False
    yield "not UTF-8, not flagged, from Unix", one(b"a\xffb"), False
    yield "not UTF-8, flagged", one(b"a\xffb", flags=UTF8), False
    yield "overlong slash", one(b"a\xc0\xafb", flags=UTF8), False
    yield "surrogate", one(b"a\xed\xa0\x80b", flags=UTF8), False
    yield "UTF-8, flagged", one("grüß".encode(), flags=UTF8), True
    yield "right to left mark", one("a\u202egpj.exe".encode(), flags=UTF8), True
    yield "the same twice", Archive(Entry(b"a", b"1"), Entry(b"a", b"2")), True
    yield "file and folder", Archive(Entry(b"a", b"1"), Entry(b"a/", mode=FOLDER, method=0)), False
    yield "file, and a file below it", Archive(Entry(b"a", b"1"), Entry(b"a/b", b"2")), False
    yield "twins by case", Archive(Entry(b"Lib", b"1"), Entry(b"lib", b"2")), True
    yield "twins by Unicode form", Archive(Entry("\u00e9".encode(), b"1", flags=UTF8), Entry("e\u0301".encode(), b"2", flags=UTF8)), True
    yield "an accent on its own (NFD)", one("e\u0301".encode(), flags=UTF8), True
    yield "twins by a dot", Archive(Entry(b"a", b"1"), Entry(b"./a", b"2")), True
    for name, archive, legal in unicode_paths():
        yield f"Unicode Path: {name}", archive, legal
    yield "local name differs", Archive(Entry(b"a", TEXT, local_name=b"b")), False
    yield "local name is longer", Archive(Entry(b"a", TEXT, local_name=b"ab")), False


def unicode_paths():
    def both(raw, name, version=1, **options):
        item = unicode_path(raw, name, version)
        return Archive(Entry(raw, TEXT, central_extra=item, local_extra=item, **options))

    def one(raw, **options):
        return Archive(Entry(raw, TEXT, **options))
    name = "grüß".encode()
    yield "the same name", both(b"a", b"a"), True
    yield "of CP437, from DOS", both(b"gr\x81\xe1", name, host=0), True
    yield "of substitutes", both(b"gr__", name), True
    yield "of numbers", both(b"gr#U00fc#U00df", name), True
    yield "in the directory alone", one(b"gr__", central_extra=unicode_path(b"gr__", name)), True
    yield "in the local header alone", one(b"gr__", local_extra=unicode_path(b"gr__", name)), False
    yield "two of them, in one header each", one(b"gr__", central_extra=unicode_path(b"gr__", name),
                                                 local_extra=unicode_path(b"gr__", "größ".encode())), False
    yield "two of them, in one header", one(b"gr__", central_extra=unicode_path(b"gr__", name)
                                            + unicode_path(b"gr__", "größ".encode())), False
    yield "another file's", both(b"a", b"b"), False
    yield "another file's, with an accent", both(b"safe.so", "évil.so".encode()), False
    yield "another folder's", both(b"gr__", "gr/ü".encode()), False
    yield "another, though flagged as UTF-8", both("ä".encode(), "ö".encode(), flags=UTF8), False
    yield "for another name's CRC", one(b"x", central_extra=unicode_path(b"a", b"b")), True
    yield "of a later version", both(b"a", b"b", version=2), False
    yield "of version 0", both(b"a", b"b", version=0), False
    yield "empty", both(b"a", b""), False
    yield "not UTF-8", both(b"a", b"\xfc"), False
    yield "cut short", one(b"a", central_extra=extra(0x7075, b"\x01\0")), False


def zstd_frame(content):
    """A single raw block (RFC 8878, 3.1.1)."""
    return (b"\x28\xb5\x2f\xfd\x20" + struct.pack("<B", len(content)) +
            struct.pack("<I", len(content) << 3 | 1)[:3] + content)


def kinds():
    for name, mode in (("FIFO", 0o010644), ("character device", 0o020644), ("block device", 0o060644), ("socket", 0o140644)):
        yield name, Archive(Entry(b"a", b"", mode=mode, method=0)), True
    yield "a type that nobody knows", Archive(Entry(b"a", b"", mode=0o170644, method=0)), False
    yield "setuid, setgid, sticky", Archive(Entry(b"a", TEXT, mode=0o107755)), True
    yield "mode 0", Archive(Entry(b"a", TEXT, mode=0o100000)), True
    yield "a folder with data", Archive(Entry(b"a/", TEXT, mode=FOLDER)), False
    yield "a folder by mode, a file by name", Archive(Entry(b"a", b"", mode=FOLDER, method=0)), False
    yield "a file by mode, a folder by name", Archive(Entry(b"a/", b"", method=0)), True
    for host, what in ((0, "DOS"), (10, "NTFS")):
        yield f"a folder by {what} attributes, a file by name", Archive(
            Entry(b"a", TEXT, host=host, central={"external_attributes": 0x10})), False
    yield "a volume label, from DOS", Archive(Entry(b"a", TEXT, host=0, central={"external_attributes": 8})), False
    for version in (46, 63, 64, 0x314):
        needed = {"version": version}
        yield (f"needs version {version % 256 // 10}.{version % 10 if version < 256 else 8}"
               f"{' of Unix (788)' if version > 255 else ''}",
               Archive(Entry(b"a", TEXT, central=needed, local=needed)), version != 64)
    yield "encrypted", Archive(Entry(b"a", TEXT, flags=1)), False
    yield "strong encryption", Archive(Entry(b"a", TEXT, flags=0x41)), False
    yield "patch data", Archive(Entry(b"a", TEXT, flags=0x20)), False
    for method, what in ((1, "shrunk"), (6, "imploded"), (9, "deflate64"), (12, "bzip2"), (14, "LZMA"), (99, "AES"), (65535, "65535")):
        yield f"method {what}", Archive(Entry(b"a", TEXT, method=method)), False
    yield "method zstd", Archive(Entry(b"a", TEXT, method=93, data=zstd_frame(TEXT))), True


def bits(text):
    """Codes as RFC 1951 writes them, the first one in the lowest bit."""
    digits = text.replace(" ", "")
    return bytes(int(digits[at:at + 8][::-1], 2) for at in range(0, len(digits), 8))


def data():
    good = deflate(TEXT)
    yield "bytes behind the stream", Archive(Entry(b"a", TEXT, data=good + b"junk")), False
    yield "stream cut short", Archive(Entry(b"a", TEXT, data=good[:-2])), False
    yield "wrong CRC", Archive(Entry(b"a", TEXT, data=deflate(TEXT[::-1]))), False
    # What turns the direction of a line, ends it, or is invisible: nobody minds it in a name.
    yield "wrong CRC, of a name with format characters", Archive(Entry(
        "a\u202e\u2066gpj\u2028b\u200b\ufeff\U000e0041.so".encode(), TEXT, data=deflate(TEXT[::-1]), flags=UTF8)), False
    yield "block type 3", Archive(Entry(b"a", TEXT, data=b"\x07" + good)), False
    yield "a match of what it writes", Archive(Entry(b"a", b"a" * 4, data=bytes.fromhex("4b040200"))), True
    # One block of fixed codes: "a", three bytes from two back, the end.
    yield "distance too far back", Archive(Entry(b"a", b"a" * 4, data=bits("1 10 10010001 0000001 00001 0000000"))), False
    yield "no data at all, compressed", Archive(Entry(b"a", b"", data=b"")), False
    yield "empty, deflated", Archive(Entry(b"a", b"")), True
    yield "stored blocks only", Archive(Entry(b"a", TEXT, data=deflate(TEXT, 0))), True


def places():
    whole = bytes(base().bytes)
    yield "stub in front, offsets not adjusted", b"#!/bin/sh\nexit\n" + whole, True
    yield "stub in front, offsets adjusted", bytes(Archive(*base_entries(), prefix=b"#!/bin/sh\nexit\n").bytes), True
    yield "bytes before the directory", bytes(Archive(*base_entries(), before_directory=b"padding").bytes), True
    yield "bytes behind the end", whole + b"junk", True
    inner = bytes(Archive(Entry(b"x", b"1")).bytes)
    end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 0, 0, 0, 0, 0)
    yield "two archives, one behind the other", inner + whole, True
    yield "two archives, offsets adjusted", bytes(Archive(*base_entries(), prefix=inner).bytes), True
    yield "an archive of nothing in front", end + whole, True

    def with_comment(comment):
        return bytes(Archive(Entry(b"a", TEXT), comment=comment).bytes)
    yield "an archive in the comment", with_comment(inner), False
    front = bytes(Archive(Entry(b"a", TEXT)).bytes)
    yield "an archive in the comment, offsets adjusted", with_comment(
        bytes(Archive(Entry(b"x", b"1"), prefix=front).bytes)[len(front):]), False
    yield "an empty end record in the comment", with_comment(end), False
    yield "an end record and more in the comment", with_comment(end + b"more"), False
    yield "an end record of nothing that is there in the comment", with_comment(inner[-22:]), False
    yield "half an end record in the comment", with_comment(b"PK\5\6"), True
    outer = bytes(Archive(Entry(b"in.zip", inner, method=0)).bytes)
    rest = struct.pack("<H", len(outer) - outer.index(b"PK\5\6") - 22)
    yield "an archive within whose comment is all the rest", bytes(
        Archive(Entry(b"in.zip", inner[:-2] + rest, method=0)).bytes), True
    yield "cut off behind an archive within", outer[:outer.index(b"PK\5\6") + 40], False
    yield "a comment of 65535 bytes", bytes(Archive(Entry(b"a", TEXT), comment=b"c" * 65535).bytes), True
    yield "nothing", b"", False
    yield "only an end record", end, True
    yield "a million end records", end * 50_000, False
    yield "no zip", b"not a zip file" * 10, False
    yield "directory size too small", bytes(Archive(*base_entries(), end={"directory_size": 46}).bytes), False
    yield "directory offset 0", bytes(Archive(*base_entries(), end={"directory_offset": 0}).bytes), False
    yield "entries on this disk", bytes(Archive(*base_entries(), end={"entries_on_disk": 3}).bytes), False
    yield "disk 1", bytes(Archive(*base_entries(), end={"disk": 1}).bytes), False


def all_cases():
    for name, archive in overlapping():
        yield Case("overlap", name, bytes(archive.bytes))
    for name, bytes_, legal in bombs():
        yield Case("bomb", name, bytes(bytes_), legal)
    yield Case("bomb", "nested: 20 archives in each other", nested(), True)
    yield Case("bomb", "nested: a quine, an archive that holds itself", quine(), True)
    for name, archive in lying_sizes():
        yield Case("sizes", name, bytes(archive.bytes))
    for group, source in (("zip64", zip64_oddities), ("link", links), ("name", names), ("kind", kinds), ("data", data)):
        for name, archive, legal in source():
            yield Case(group, name, bytes(archive.bytes), legal)
    for name, bytes_, legal in places():
        yield Case("place", name, bytes_, legal)


def mutations():
    """(record, field, value, bytes): every field of every record of three archives at its extremes and beside its value."""
    for archive, which in ((base(), ""), (base64(), ""), (with_unicode_path(), "unicode path")):
        for (record, name), (_, width) in archive.places.items():
            if not record.startswith(which):
                continue
            now, top = archive.value(record, name), (1 << 8 * width) - 1
            for value in sorted({0, 1, top, top - 1, (top >> 1) + 1, top >> 1, now ^ 1, (now + 1) & top, (now - 1) & top} - {now}):
                yield record, name, value, archive.changed(record, name, value)
