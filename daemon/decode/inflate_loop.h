// SPDX-License-Identifier: Apache-2.0
// The inner loop of the fast engine: the symbols of a block, where there is plenty of input and of room.
#pragma once

#include "decode/inflate_codes.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

namespace tmpdump::decode::deflate {

// Where the stream stands. Bytes in [in, in_end) are to come after the `count` bits in `bits`, of which the
// lowest is the next; above them `bits` is 0. Bytes in [base, out) are what a match may refer to.
struct Cursor {
  const std::uint8_t* in_begin = nullptr; // of this step's input: no byte before it can be given back
  const std::uint8_t* in = nullptr;
  const std::uint8_t* in_end = nullptr;
  std::uint8_t* out = nullptr;
  std::uint8_t* out_end = nullptr;
  const std::uint8_t* base = nullptr;
  std::uint64_t bits = 0;
  unsigned count = 0;

  // Whole bytes return to the input: the stream, or what the caller takes from it, may end before them.
  void give_back() {
    const auto ahead = std::min<std::size_t>(count / 8, static_cast<std::size_t>(in - in_begin));
    in -= ahead;
    count -= static_cast<unsigned>(8 * ahead);
    bits &= (std::uint64_t{1} << count) - 1;
  }
};

enum class Stop { margin, block_end, invalid_literal, invalid_distance, too_far };

// With less input or room than this it stops. Per round it loads eight bytes at up to 16 bytes from where
// the round began, and writes at most four literals and a match, in whole vectors.
inline constexpr std::size_t in_margin = 32;
inline constexpr std::size_t out_margin = 6 + 258 + 64;

// Goes on until a margin is reached or the block has ended. Never touches what is outside of [in, in_end)
// and [base, out_end), but may scribble behind `out`. Gives back what it did not need.
using Loop = Stop (*)(Cursor& cursor, const Codes& codes);
// All that this processor runs: the portable one first, the fastest last.
std::span<const Loop> loops();

} // namespace tmpdump::decode::deflate
