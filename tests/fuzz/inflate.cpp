// SPDX-License-Identifier: Apache-2.0
// The engine of this build against zlib: the same bytes, the same end, the same refusals, however input and
// output are cut.
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

} // namespace

FUZZ_TARGET(inflate) {
  Chance chance(input.peek());
  const auto data = text_of(input.rest());
  if (data.size() > most_input) return;
  const Outcome reference = inflate(decode::make_zlib_inflate(), data, chance, true);
  require(reference.violation.empty(), reference.violation);
  for (const bool whole : {true, false}) {
    const Outcome own = inflate(decode::make_decoder(zip::Method::deflate, data.size()), data, chance, whole);
    require(own.violation.empty(), own.violation);
    const std::size_t common = std::min(own.output.size(), reference.output.size());
    require(own.output.compare(0, common, reference.output, 0, common) == 0, "the bytes are zlib's");
    if (reference.finished) {
      require(own.failure.empty() && own.finished, "what zlib accepts is accepted");
      require(own.output.size() == reference.output.size(), "nothing is missing, nothing too much");
      require(own.consumed == reference.consumed, "the stream ends where zlib says");
    } else if (reference.failure.empty()) {
      require(!own.finished, "a stream that is cut short does not finish");
      require(!own.failure.empty() || own.output.size() == reference.output.size(),
              "all that can be decoded comes out");
    } else if (!decode::inflate_engine().starts_with("isa-l")) { // which accepts incomplete codes
      require(!own.failure.empty(), "what zlib refuses is refused");
    }
  }
}
