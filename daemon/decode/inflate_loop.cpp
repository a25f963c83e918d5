// SPDX-License-Identifier: Apache-2.0
#include "decode/inflate_loop.h"

#include <bit>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace tmpdump::decode::deflate {

namespace {

#define TMPDUMP_INLINE [[gnu::always_inline]] inline

TMPDUMP_INLINE std::uint64_t load64(const std::uint8_t* from) {
  std::uint64_t value = 0;
  std::memcpy(&value, from, sizeof value);
  if constexpr (std::endian::native == std::endian::big) value = __builtin_bswap64(value);
  return value;
}

TMPDUMP_INLINE std::uint64_t low_bits(std::uint64_t value, unsigned count) {
  return value & ((std::uint64_t{1} << count) - 1);
}

// Through registers: as many bytes as one of them holds.
template <std::size_t Size>
TMPDUMP_INLINE void copy(std::uint8_t* to, const std::uint8_t* from) {
  struct {
    std::uint8_t bytes[Size];
  } all;
  std::memcpy(&all, from, sizeof all);
  std::memcpy(to, &all, sizeof all);
}

// `distance` below 16: bytes repeat. Writes up to 15 bytes more than `length`.
TMPDUMP_INLINE void copy_near(std::uint8_t* to, unsigned distance, unsigned length) {
  std::uint8_t* const end = to + length;
  const std::uint8_t* from = to - distance;
  if (distance >= 8) {
    do {
      copy<8>(to, from);
      to += 8;
      from += 8;
    } while (to < end);
  } else if (distance == 1) {
    const std::uint64_t value = *from * std::uint64_t{0x0101010101010101};
    do {
      std::memcpy(to, &value, sizeof value);
      to += 8;
    } while (to < end);
  } else {
    do {
      copy<1>(to++, from++);
      copy<1>(to++, from++);
    } while (to < end);
  }
}

// Bits: after a refill at least 56 are there. Three look-ups of literals take 33 at most, or two and a length
// 42; 14 are left then, enough to look up a distance of the first table. It is dropped after a refill, and
// takes 28 at most; 28 are left, enough for the next round's first look-up.
template <unsigned Lits, std::size_t Wide>
TMPDUMP_INLINE Stop loop(Cursor& cursor, const Codes& codes) {
  const std::uint8_t* in = cursor.in;
  const std::uint8_t* const in_stop = cursor.in_end - in_margin;
  std::uint8_t* out = cursor.out;
  std::uint8_t* const out_stop = cursor.out_end - out_margin;
  const std::uint8_t* const base = cursor.base;
  const CodeEntry* const literals = codes.literals.data();
  const CodeEntry* const distances = codes.distances.data();
  std::uint64_t bits = cursor.bits;
  std::uint64_t count = cursor.count; // only its lowest six bits count
  Stop stop = Stop::margin;

  const auto refill = [&]() __attribute__((always_inline)) {
    bits |= load64(in) << (count & 63U);
    in += 7 - ((count >> 3U) & 7U);
    count |= 56U;
  };
  const auto drop = [&](CodeEntry entry) __attribute__((always_inline)) {
    bits >>= (entry & 63U);
    count -= entry;
  };
  const auto next = [&]() __attribute__((always_inline)) {
    return literals[low_bits(bits, literal_bits)];
  };
  const auto put_if_literal = [&](CodeEntry entry) __attribute__((always_inline)) {
    *out = static_cast<std::uint8_t>(entry >> 16U);
    out += (entry >> 6U) & 1U;
    drop(entry);
  };
  const auto put_literal = [&](CodeEntry entry) __attribute__((always_inline)) {
    *out++ = static_cast<std::uint8_t>(entry >> 16U);
    drop(entry);
  };

  refill();
  CodeEntry entry = next();
  while (in <= in_stop && out <= out_stop) {
    refill();
    if constexpr (Lits == 0) {
      if ((entry & literal) != 0) {
        put_literal(entry);
        entry = next();
        if ((entry & literal) != 0) {
          put_literal(entry);
          entry = next();
          if ((entry & literal) != 0) {
            put_literal(entry);
            entry = next();
            continue;
          }
        }
      }
    } else {
      put_if_literal(entry);
      entry = next();
      if constexpr (Lits >= 2) {
        put_if_literal(entry);
        entry = next();
      }
      if ((entry & literal) != 0) {
        put_literal(entry);
        entry = next();
        continue;
      }
    }
    if ((entry & other) != 0) [[unlikely]] {
      drop(entry >> 8U);
      if ((entry & further) != 0) {
        entry = literals[((entry >> 16U) & 0xFFFU) + low_bits(bits, entry >> 28U)];
        if ((entry & literal) != 0) {
          put_literal(entry);
          entry = next();
          continue;
        }
        if ((entry & other) != 0) drop(entry >> 8U);
      }
      if ((entry & other) != 0) {
        stop = (entry & ends) != 0 ? Stop::block_end : Stop::invalid_literal;
        break;
      }
    }
    std::uint64_t saved = bits;
    drop(entry >> 8U);
    const unsigned length = ((entry >> 16U) & 0x1FFU) +
                            static_cast<unsigned>(low_bits(saved, (entry >> 8U) & 63U) >> (entry >> 28U));
    CodeEntry far = distances[low_bits(bits, distance_bits)];
    refill();
    if ((far & other) != 0) [[unlikely]] {
      drop(far);
      if ((far & further) != 0) far = distances[(far >> 16U) + low_bits(bits, (far >> 8U) & 15U)];
      if ((far & other) != 0) {
        stop = Stop::invalid_distance;
        break;
      }
    }
    saved = bits;
    drop(far);
    entry = next();
    const unsigned distance =
        (far >> 16U) + static_cast<unsigned>(low_bits(saved, far & 63U) >> ((far >> 8U) & 15U));
    if (distance > static_cast<std::size_t>(out - base)) [[unlikely]] {
      stop = Stop::too_far;
      break;
    }
    std::uint8_t* const end = out + length;
    const std::uint8_t* from = out - distance;
    if (distance >= Wide) [[likely]] {
      copy<Wide>(out, from);
      if constexpr (Wide <= 16) copy<Wide>(out + Wide, from + Wide);
      if constexpr (Wide <= 8) {
        copy<Wide>(out + 2 * Wide, from + 2 * Wide);
        copy<Wide>(out + 3 * Wide, from + 3 * Wide);
      }
      if (length > 32) {
        do {
          out += 32;
          from += 32;
          copy<Wide>(out, from);
          if constexpr (Wide <= 16) copy<Wide>(out + Wide, from + Wide);
          if constexpr (Wide <= 8) {
            copy<Wide>(out + 2 * Wide, from + 2 * Wide);
            copy<Wide>(out + 3 * Wide, from + 3 * Wide);
          }
        } while (out + 32 < end);
      }
    } else if (Wide > 16 && distance >= 16) {
      do {
        copy<16>(out, from);
        out += 16;
        from += 16;
      } while (out < end);
    } else {
      copy_near(out, distance, length);
    }
    out = end;
  }
  cursor.in = in;
  cursor.out = out;
  cursor.bits = bits;
  cursor.count = static_cast<unsigned>(count & 63U);
  cursor.give_back(); // and clears what the refill brought beyond `count`
  return stop;
}

Stop portable_loop(Cursor& cursor, const Codes& codes) {
  return loop<0, 8>(cursor, codes);
}

#if defined(__x86_64__)
[[gnu::target("bmi,bmi2")]] Stop bmi2_loop(Cursor& cursor, const Codes& codes) {
  return loop<2, 16>(cursor, codes);
}
bool has_bmi2() {
  return __builtin_cpu_supports("bmi") != 0 && __builtin_cpu_supports("bmi2") != 0;
}
#endif

} // namespace

std::span<const Loop> loops() {
#if defined(__x86_64__)
  static constexpr Loop all[] = {portable_loop, bmi2_loop};
  static const std::size_t usable = has_bmi2() ? 2 : 1;
  return std::span(all).first(usable);
#else
  static constexpr Loop all[] = {portable_loop};
  return all;
#endif
}

} // namespace tmpdump::decode::deflate
