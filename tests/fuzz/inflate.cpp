// SPDX-License-Identifier: Apache-2.0
// Our own inflate, with each loop that this processor runs, against zlib: the same bytes, the same end, the
// same refusals, however input and output are cut. Not ISA-L, with which nothing is unpacked: it decodes
// incomplete codes, which RFC 1951 forbids (inflate_hostile_test.cpp has it beside the others).
#include "fuzz.h"
#include "support/decode_driver.h"

using namespace tmpdump;
using namespace tmpdump::fuzz;
using decode::test::Outcome;

namespace {

constexpr std::size_t most_input = std::size_t{8} * 1024; // at 1032 to 1 this is 8 MiB already

Outcome inflate(std::unique_ptr<decode::Decoder> decoder, std::string_view data, Chance& chance, bool whole) {
  const auto size = [&] { return whole ? decode::test::max_chunk : chance.size(decode::test::max_chunk); };
  return decode::test::run(*decoder, data, size, size);
}

// A head without any code length code: zlib reads on to its end, and refuses it then.
bool is_refused_with_more(std::string_view data) {
  constexpr std::size_t longest_head = 560; // bytes: 316 lengths, each with 7 bits of code and 7 more
  return std::ranges::all_of(std::string_view("\0\xFF", 2), [&](char more) {
    Chance none{Bytes()};
    const std::string longer = std::string(data) + std::string(longest_head, more);
    return !inflate(decode::make_zlib_inflate(), longer, none, true).failure.empty();
  });
}

void compare(const Outcome& own, const Outcome& reference, std::string_view data) {
  require(own.violation.empty(), own.violation);
  require(own.finished == reference.finished, "what zlib accepts is accepted, and nothing else");
  require(!own.failure.empty() || reference.failure.empty(), "what zlib refuses is refused");
  const std::size_t common = std::min(own.output.size(), reference.output.size());
  require(own.output.compare(0, common, reference.output, 0, common) == 0, "the bytes are zlib's");
  if (!own.failure.empty()) // how far each of them came is its own business
    return require(!reference.failure.empty() || is_refused_with_more(data), "what is refused is zlib's too");
  require(own.output.size() == reference.output.size(), "nothing is missing, nothing too much");
  require(!reference.finished || own.consumed == reference.consumed, "the stream ends where zlib says");
}

} // namespace

FUZZ_TARGET(inflate) {
  Chance chance(input.peek());
  const auto data = text_of(input.rest());
  if (data.size() > most_input) return;
  const Outcome reference = inflate(decode::make_zlib_inflate(), data, chance, true);
  require(reference.violation.empty(), reference.violation);
  for (const auto loop : decode::deflate::loops()) {
    for (const bool whole : {true, false})
      compare(inflate(decode::make_fast_inflate(loop), data, chance, whole), reference, data);
  }
}
