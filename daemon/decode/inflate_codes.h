// SPDX-License-Identifier: Apache-2.0
// Prefix codes of deflate (RFC 1951, 3.2.2) as tables that a decoder looks up. Internal to the fast engine.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace tmpdump::decode::deflate {

inline constexpr unsigned max_code_bits = 15;
inline constexpr unsigned literal_symbols = 288; // 286 and 287 exist in the fixed code alone, and are invalid
inline constexpr unsigned distance_symbols = 32; // so are 30 and 31
inline constexpr unsigned end_of_block = 256;

// Bits that one look-up takes. Longer codes go on in a second table. Measured on real libraries: of 10 to 12
// bits for literals 11 is the fastest (fewer second look-ups against a table that stays in the L1 cache).
inline constexpr unsigned literal_bits = 11;
inline constexpr unsigned distance_bits = 9;
inline constexpr unsigned precode_bits = 7; // the longest code of a code length: no second table

// An entry says what the next bits of the stream mean. Of the literal/length code:
//   bit 6          a literal: bits 0 to 5 its code's length, 16 to 23 the byte. Else bits 0 to 5 are 0, so
//   that
//                  a decoder may drop that many and look later at what it was; bits 8 to 13 tell it then.
//   none           a length: bits 8 to 13 how many bits it is in all, 28 to 31 how many of them are its code,
//                  the rest being extra bits; 16 to 24 what to add to these
//   bit 7          bit 14, `further`: a second table, which begins at bits 16 to 27 and is indexed by as many
//                  bits as 28 to 31 say; bit 15, `ends`: the end of the block; neither: no symbol has this
//                  code. Bits 8 to 13: how many bits to drop
// Of the distance code:
//   none           bits 0 to 5 how many bits it is in all, 8 to 11 its code's, 16 to 31 what to add
//   bit 7          the same of a second table, with bits 0 to 5 to drop, 8 to 11 that index it
// Shifts by an entry go by its lowest six bits alone, as the processor's do.
using CodeEntry = std::uint32_t;
inline constexpr CodeEntry literal = 0x40, other = 0x80, further = 0x4000, ends = 0x8000;

// 2342 and 594 are the most entries that any complete code needs (zlib's examples/enough.c computes such
// numbers); building checks all the same.
using LiteralTable = std::array<CodeEntry, 2400>;
using DistanceTable = std::array<CodeEntry, 640>;
using PrecodeTable = std::array<CodeEntry, 1U << precode_bits>;

struct Codes {
  LiteralTable literals;
  DistanceTable distances;
};

using CodeLengths = std::span<const std::uint8_t>;

// Nullptr, or why RFC 1951 (as zlib reads it: a sole code of one bit is good though incomplete) forbids it.
const char* build_literals(CodeLengths lengths, LiteralTable& table);
const char* build_distances(CodeLengths lengths, DistanceTable& table);
// Entries: bits 0 to 5 the code's length, 16 to 23 the symbol.
const char* build_precode(CodeLengths lengths, PrecodeTable& table);

// The codes of a block of type 1 (3.2.6).
const Codes& fixed_codes();

} // namespace tmpdump::decode::deflate
