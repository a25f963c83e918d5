# SPDX-License-Identifier: Apache-2.0
"""A zip file that holds itself: R. Cox, "Zip files all the way down". Whoever unpacks what he has unpacked never ends."""
import struct
import zlib

from records import Archive, Entry

NAME = b"r.zip"
# First length or distance of each code with its extra bits (RFC 1951, 3.2.5): 257 to 279, 0 to 15.
LENGTHS = [(3 + n, 0) for n in range(8)] + [(first, extra) for extra, start in ((1, 11), (2, 19), (3, 35), (4, 67))
                                            for first in range(start, start + (4 << extra), 1 << extra)][:15]
DISTANCES = [(1 + n, 0) for n in range(4)] + [(first, extra) for extra in range(1, 7)
                                              for first in ((2 << extra) + 1, (3 << extra) + 1)]


def coded(table, value, first_code, width):
    code = max(n for n, (first, _) in enumerate(table) if first <= value)
    first, extra = table[code]
    return f"{code + first_code:0{width}b}" + (f"{value - first:0{extra}b}"[::-1] if extra else "")


def match(length, distance):
    return coded(LENGTHS, length, 1, 7) + coded(DISTANCES, distance, 0, 5)


def literal(data, final=False):
    """A stored block, whose head is five bytes."""
    return struct.pack("<BHH", final, len(data), len(data) ^ 0xFFFF) + data


def head(size):
    return literal(bytes(size))[:5]


def repeat(size, zero_at_end=False):
    """The last `size` bytes once more, in five bytes: a block of fixed codes (3.2.6), whose end code may reach into the byte
    that follows, 0 as it is in all heads. So there are 28 to 35 bits for it."""
    def fits(codes):
        return len(codes) in range(28, 36)
    options = [match(size - 1, size) + f"{0x30:08b}"] if zero_at_end else [
        match(part, size) + match(size - part, size) for part in range(3, size - 2)]
    bits = "010" + next(filter(fits, options)) + "00000"
    return bytes(int(bits[at:at + 8][::-1], 2) for at in range(0, 40, 8))


def program(prefix, suffix):
    """A deflate stream that puts out prefix + itself + suffix. Each line says what it puts out; it has then put out itself up
    to the line before, or what the next line repeats."""
    r, five, twenty = repeat(len(prefix) + 10), head(5), head(20)
    tail_size = 15 + len(suffix)
    tail = repeat(tail_size, zero_at_end=True) + head(0) + literal(suffix, final=True)
    out = literal(prefix)
    out += literal(head(len(prefix)) + prefix + head(len(prefix) + 10))
    out += r
    out += literal(r)
    out += literal(five)
    out += literal(r + five + five + twenty)
    out += repeat(20)
    out += literal(repeat(20) + twenty + repeat(20) + twenty)
    out += repeat(20)
    out += literal(repeat(20) + head(0) + head(0) + head(tail_size))
    out += repeat(20)
    out += head(0) + head(0)
    out += literal(tail)
    return out + tail


def with_crc(crc, time):
    sizes = {}
    for _ in range(2):  # the sizes do not depend on what they are
        fields = {"crc": crc, "time": time, **sizes}
        whole = Archive(Entry(NAME, data=b"", local=fields, central=fields))
        local = whole.places["central 0", "signature"][0]
        prefix, suffix = bytes(whole.bytes[:local]), bytearray(whole.bytes[local:])
        data = program(prefix, bytes(suffix))
        sizes = {"compressed_size": len(data), "size": len(prefix) + len(data) + len(suffix)}
    at = whole.places["end", "directory_offset"][0] - local
    suffix[at:at + 4] = struct.pack("<I", len(prefix) + len(data))
    return prefix + program(prefix, bytes(suffix)) + bytes(suffix)


def solve(columns, wanted):
    """x with XOR of columns[n] for each bit n of x == wanted, or None."""
    rows = []  # (vector, which columns)
    for n, column in enumerate(columns):
        which = 1 << n
        for vector, used in rows:
            if column ^ vector < column:
                column, which = column ^ vector, which ^ used
        if column:
            rows.append((column, which))
            rows.sort(reverse=True)
    x = 0
    for vector, used in rows:
        if wanted ^ vector < wanted:
            wanted, x = wanted ^ vector, x ^ used
    return x if wanted == 0 else None


def quine():
    """CRC-32 is linear: of the file that says x it is A x + b, to be x."""
    for time in range(100):
        base = zlib.crc32(with_crc(0, time))
        columns = [zlib.crc32(with_crc(1 << bit, time)) ^ base ^ 1 << bit for bit in range(32)]
        crc = solve(columns, base)
        if crc is not None:
            return with_crc(crc, time)
    raise AssertionError("no CRC fits")
