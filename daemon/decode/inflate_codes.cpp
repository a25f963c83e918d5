// SPDX-License-Identifier: Apache-2.0
#include "decode/inflate_codes.h"

#include <algorithm>
#include <bit>

namespace tmpdump::decode::deflate {

namespace {

// Entries before the code's length is added: by `code length * multiplier`.
struct Symbol {
  CodeEntry entry = 0;
  CodeEntry multiplier = 0;
};

constexpr CodeEntry literal_multiplier = 1;
constexpr CodeEntry length_multiplier = 1U << 8U | 1U << 28U;
constexpr CodeEntry distance_multiplier = 1U | 1U << 8U;
constexpr CodeEntry other_multiplier = 1U << 8U; // of the literal/length code

constexpr auto literal_meaning = [] {
  std::array<Symbol, literal_symbols> out{};
  for (unsigned i = 0; i < 256; ++i)
    out[i] = {i << 16U | literal, literal_multiplier};
  out[end_of_block] = {other | ends, other_multiplier};
  unsigned base = 3;
  for (unsigned i = 257; i < 285; ++i) {
    const unsigned extra = i < 265 ? 0 : (i - 261) / 4;
    out[i] = {base << 16U | extra << 8U, length_multiplier};
    base += 1U << extra;
  }
  out[285] = {258U << 16U, length_multiplier}; // not 3.2.5's pattern: 284's last value again
  out[286] = out[287] = {other, other_multiplier};
  return out;
}();

constexpr auto distance_meaning = [] {
  std::array<Symbol, distance_symbols> out{};
  unsigned base = 1;
  for (unsigned i = 0; i < 30; ++i) {
    const unsigned extra = i < 4 ? 0 : i / 2 - 1;
    out[i] = {base << 16U | extra, distance_multiplier};
    base += 1U << extra;
  }
  out[30] = out[31] = {other, 1};
  return out;
}();

constexpr auto precode_meaning = [] {
  std::array<Symbol, 19> out{};
  for (unsigned i = 0; i < out.size(); ++i)
    out[i] = {i << 16U, 1};
  return out;
}();

// Symbols in the order of their codes: by length, then by value.
struct Sorted {
  std::array<std::uint16_t, max_code_bits + 1> count{}; // by length
  std::array<std::uint16_t, literal_symbols> symbols{};
  std::size_t used = 0; // that have a code
};

void sort(CodeLengths lengths, Sorted& out) {
  for (const std::uint8_t length : lengths)
    ++out.count[length];
  std::array<std::uint16_t, max_code_bits + 1> place{};
  for (unsigned length = 1; length < max_code_bits; ++length)
    place[length + 1] = static_cast<std::uint16_t>(place[length] + out.count[length]);
  out.used = lengths.size() - out.count[0];
  out.count[0] = 0;
  for (std::size_t symbol = 0; symbol < lengths.size(); ++symbol) {
    if (lengths[symbol] != 0) out.symbols[place[lengths[symbol]]++] = static_cast<std::uint16_t>(symbol);
  }
}

// 0: complete; above: codes without a symbol, in units of the longest code; below: over-subscribed.
int unused_codes(const Sorted& sorted) {
  int left = 1;
  for (unsigned length = 1; length <= max_code_bits; ++length) {
    left = 2 * left - sorted.count[length];
    if (left < 0) return left;
  }
  return left;
}

// Codes stand in the stream with their first bit first, so counting goes from the highest bit down.
// `code` is not all ones.
unsigned next_code(unsigned code, unsigned length) {
  const unsigned zero = std::bit_floor(code ^ ((1U << length) - 1)); // the highest bit that is not set
  return (code & (zero - 1)) | zero;
}

// Of a complete code. True: it fits the table.
template <class Kind>
bool fill(const Sorted& sorted, std::span<CodeEntry> table) {
  constexpr auto& meaning = Kind::meaning;
  constexpr unsigned bits = Kind::bits;
  const auto entry_of = [&](std::size_t rank, unsigned length) {
    // NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): clang 14 does not know that a constant is
    // initialized
    const Symbol symbol = meaning[sorted.symbols[rank]];
    return symbol.entry + length * symbol.multiplier;
  };
  unsigned code = 0;
  std::size_t rank = 0;
  // Short codes: a table for codes of up to `length` bits, doubled from length to length.
  for (unsigned length = 1; length <= bits; ++length) {
    const std::size_t half = std::size_t{1} << (length - 1);
    if (rank > 0) std::copy_n(table.begin(), half, table.begin() + static_cast<std::ptrdiff_t>(half));
    for (unsigned left = sorted.count[length]; left > 0; --left) {
      table[code] = entry_of(rank++, length);
      if (rank < sorted.used) code = next_code(code, length);
    }
  }
  // Long ones: those with the same first `bits` share a second table.
  std::size_t end = std::size_t{1} << bits;
  const unsigned mask = (1U << bits) - 1;
  unsigned prefix = ~0U;
  std::size_t begin = 0;
  unsigned second_bits = 0;
  for (unsigned length = bits + 1; length <= max_code_bits; ++length) {
    for (unsigned left = sorted.count[length]; left > 0; --left) {
      if ((code & mask) != prefix) {
        prefix = code & mask;
        begin = end;
        // As long as the codes to come do not fill it, its longest code is longer.
        second_bits = length - bits;
        for (unsigned space = left; space < (1U << second_bits);) {
          ++second_bits;
          space = 2 * space + sorted.count[bits + second_bits];
        }
        end = begin + (std::size_t{1} << second_bits);
        if (end > table.size()) return false;
        table[prefix] = Kind::second(static_cast<CodeEntry>(begin), second_bits);
      }
      const CodeEntry entry = entry_of(rank++, length - bits);
      for (std::size_t at = code >> bits; at < (std::size_t{1} << second_bits);
           at += std::size_t{1} << (length - bits))
        table[begin + at] = entry;
      if (rank < sorted.used) code = next_code(code, length);
    }
  }
  return true;
}

template <class Kind, std::size_t Size>
const char* build(CodeLengths lengths, std::array<CodeEntry, Size>& table) {
  Sorted sorted;
  sort(lengths, sorted);
  const int unused = unused_codes(sorted);
  if (unused == 0) return fill<Kind>(sorted, table) ? nullptr : Kind::wrong;
  if (unused < 0 || !Kind::sole_code) return Kind::wrong;
  // Incomplete: none at all, or one of one bit. What has no symbol is seen when it occurs.
  if (sorted.used > 1 || sorted.count[1] != sorted.used) return Kind::wrong;
  std::fill_n(table.begin(), std::size_t{1} << Kind::bits, Kind::nothing);
  if (sorted.used == 1) {
    const Symbol symbol = Kind::meaning[sorted.symbols[0]];
    for (std::size_t at = 0; at < (std::size_t{1} << Kind::bits); at += 2)
      table[at] = symbol.entry + symbol.multiplier;
  }
  return nullptr;
}

struct Literals {
  static constexpr auto& meaning = literal_meaning;
  static constexpr unsigned bits = literal_bits;
  static constexpr bool sole_code = true;
  static constexpr CodeEntry nothing = other | 1U << 8U;
  static constexpr const char* wrong = "invalid literal/lengths set";
  static CodeEntry second(CodeEntry begin, unsigned index_bits) {
    return index_bits << 28U | begin << 16U | other | further | bits << 8U;
  }
};
struct Distances {
  static constexpr auto& meaning = distance_meaning;
  static constexpr unsigned bits = distance_bits;
  static constexpr bool sole_code = true;
  static constexpr CodeEntry nothing = other | 1U;
  static constexpr const char* wrong = "invalid distances set";
  static CodeEntry second(CodeEntry begin, unsigned index_bits) {
    return begin << 16U | index_bits << 8U | other | further | bits;
  }
};
struct Precode {
  static constexpr auto& meaning = precode_meaning;
  static constexpr unsigned bits = precode_bits;
  static constexpr bool sole_code = false; // zlib wants this one complete
  static constexpr CodeEntry nothing = 0;
  static constexpr const char* wrong = "invalid code lengths set";
  static CodeEntry second(CodeEntry, unsigned) { return 0; } // its codes are too short for that
};

} // namespace

const char* build_literals(CodeLengths lengths, LiteralTable& table) {
  return build<Literals>(lengths, table);
}
const char* build_distances(CodeLengths lengths, DistanceTable& table) {
  return build<Distances>(lengths, table);
}
const char* build_precode(CodeLengths lengths, PrecodeTable& table) {
  return build<Precode>(lengths, table);
}

const Codes& fixed_codes() {
  static const Codes codes = [] {
    std::array<std::uint8_t, literal_symbols> literals{};
    for (std::size_t i = 0; i < literals.size(); ++i)
      literals[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
    std::array<std::uint8_t, distance_symbols> distances{};
    distances.fill(5);
    Codes out{};
    build_literals(literals, out.literals);
    build_distances(distances, out.distances);
    return out;
  }();
  return codes;
}

} // namespace tmpdump::decode::deflate
