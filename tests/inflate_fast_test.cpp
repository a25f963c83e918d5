// SPDX-License-Identifier: Apache-2.0
// Our own inflate beside zlib's: the same verdict on any bytes, the same output, the same end.
#include "decode/engines.h"
#include "support/bit_writer.h"
#include "support/catch.h"
#include "support/decode_driver.h"

#include <array>

using namespace tmpdump;
using namespace tmpdump::decode;
using namespace tmpdump::decode::test;

namespace {

std::vector<deflate::Loop> every_loop() {
  const auto all = deflate::loops();
  return {all.begin(), all.end()};
}

// Empty: as zlib does it, else what differs.
std::string difference(const Outcome& reference, const Outcome& outcome) {
  if (!reference.violation.empty()) return "zlib: " + reference.violation;
  if (!outcome.violation.empty()) return outcome.violation;
  if (outcome.finished != reference.finished)
    return reference.finished ? "does not finish" : "finishes where zlib does not";
  if (outcome.failure.empty() != reference.failure.empty())
    return "zlib: '" + reference.failure + "', ours: '" + outcome.failure + "'";
  if (!reference.finished) return {};
  if (outcome.consumed != reference.consumed) return "ends elsewhere";
  return outcome.output == reference.output ? "" : "other bytes";
}

// With every loop, in one piece and in random ones.
std::string difference(const std::string& stream, unsigned seed) {
  const auto reference = run(*make_zlib_inflate(), stream);
  for (const auto loop : every_loop()) {
    const auto at_once = make_fast_inflate(loop);
    auto found = difference(reference, run(*at_once, stream));
    const auto in_pieces = make_fast_inflate(loop);
    if (found.empty()) {
      found =
          difference(reference, run(*in_pieces, stream, random_sizes(seed, 600), random_sizes(~seed, 3000)));
    }
    if (!found.empty()) return found;
  }
  return {};
}

// Repetitions of all lengths at distances from 1 to 40 and beyond, with a little between them.
std::string near_matches(std::size_t size, unsigned seed) {
  std::mt19937 engine(seed);
  std::string out = random_bytes(64, seed);
  while (out.size() < size) {
    const std::size_t distance = 1 + engine() % (engine() % 4 == 0 ? out.size() % 32768 + 1 : 40);
    for (std::size_t length = 3 + engine() % (engine() % 3 == 0 ? 600U : 40U); length > 0; --length)
      out.push_back(out[out.size() - std::min(distance, out.size())]);
    for (std::size_t literals = engine() % 4; literals > 0; --literals)
      out.push_back(static_cast<char>(engine()));
  }
  return out;
}

// Lengths of `used` symbols' codes that make a complete code of at most 15 bits: leaves of a random tree.
std::vector<unsigned> random_code(std::mt19937& engine, std::size_t symbols, std::size_t used, bool deep) {
  std::vector<unsigned> leaves{0};
  while (leaves.size() < used) {
    std::size_t split = engine() % leaves.size();
    if (deep && engine() % 4 != 0) split = leaves.size() - 1;
    if (leaves[split] == deflate::max_code_bits) continue;
    ++leaves[split];
    leaves.push_back(leaves[split]);
  }
  if (used == 1) leaves[0] = 1;
  leaves.resize(symbols, 0);
  std::shuffle(leaves.begin(), leaves.end(), engine);
  return leaves;
}

// A stored block of 64 bytes and a dynamic block's head whose code lengths are all written out, with a
// complete code length code.
BitWriter dynamic_head(const std::vector<unsigned>& literals, const std::vector<unsigned>& distances) {
  std::map<unsigned, unsigned> precode;
  for (unsigned length = 0; length < 16; ++length)
    precode[length] = 4; // sixteen codes of four bits
  // Something to refer to.
  BitWriter writer;
  writer.bits(0, 8).bits(64, 16).bits(~64U & 0xFFFFU, 16);
  for (unsigned i = 0; i < 64; ++i)
    writer.bits(i, 8);
  writer.dynamic(static_cast<unsigned>(literals.size()), static_cast<unsigned>(distances.size()), precode);
  for (const auto* lengths : {&literals, &distances}) {
    for (const unsigned length : *lengths)
      writer.code(length, 4);
  }
  return writer;
}

} // namespace

TEST_CASE("own inflate: matches near and far, of all lengths, decode in every loop") {
  unsigned seed = 0;
  for (const std::size_t size : {1000U, 40'000U, 700'000U}) {
    for (const int level : {1, 6, 9}) {
      const std::string data = near_matches(size, ++seed);
      const std::string stream = deflate_raw(data, level) + "behind";
      INFO("size " << size << ", level " << level);
      CHECK(difference(stream, seed).empty());
      for (const auto loop : every_loop()) {
        // Sizes of the output at which history changes its place.
        for (const std::size_t out : {329U, 32'767U, 32'768U, 32'769U, 33'100U, 65'536U, 100'000U}) {
          const auto decoder = make_fast_inflate(loop);
          const auto outcome = run(*decoder, stream, always(max_chunk), always(out));
          CHECK(outcome.finished);
          CHECK((outcome.output == data));
          CHECK(outcome.violation.empty());
        }
      }
    }
  }
}

TEST_CASE("own inflate: flipped bits and truncation end as with zlib") {
  const std::string data = text_like(700, 31) + near_matches(500, 32);
  for (const int strategy : {Z_DEFAULT_STRATEGY, Z_FIXED, Z_HUFFMAN_ONLY, Z_RLE}) {
    const std::string stream = deflate_raw(data, 6, strategy);
    std::string found;
    for (std::size_t bit = 0; bit < 8 * stream.size() && found.empty(); ++bit) {
      std::string corrupt = stream;
      corrupt[bit / 8] = static_cast<char>(corrupt[bit / 8] ^ (1 << (bit % 8)));
      found = difference(corrupt, static_cast<unsigned>(bit));
    }
    CHECK(found.empty());
    for (std::size_t size = 0; size < stream.size() && found.empty(); ++size)
      found = difference(stream.substr(0, size), static_cast<unsigned>(size));
    INFO(found);
    CHECK(found.empty());
  }
}

TEST_CASE("own inflate: random codes, complete or nearly so, and random bits in them end as with zlib") {
  std::mt19937 engine(33);
  unsigned accepted = 0, refused = 0;
  std::string found;
  for (unsigned round = 0; round < 6000 && found.empty(); ++round) {
    const std::size_t literal_symbols = 257 + engine() % 30;
    const std::size_t distance_symbols = 1 + engine() % (round % 2 == 0 ? 30U : 11U); // 11: up to 48 back
    auto literals =
        random_code(engine, literal_symbols, 2 + engine() % (literal_symbols - 2), round % 2 == 0);
    auto distances = random_code(engine, distance_symbols, engine() % (distance_symbols + 1), round % 3 == 0);
    if (literals[deflate::end_of_block] == 0 && engine() % 8 != 0) // mostly there
      std::swap(literals[deflate::end_of_block],
                *std::find_if(literals.begin(), literals.end(), [](unsigned length) { return length != 0; }));
    if (engine() % 4 == 0) { // one length more or less: incomplete or over-subscribed
      auto& lengths = engine() % 2 == 0 ? literals : distances;
      auto& length = lengths[engine() % lengths.size()];
      length = length == 0 ? 15 : length - 1;
    }
    BitWriter writer = dynamic_head(literals, distances);
    for (auto bits = engine() % 4000; bits > 0; --bits)
      writer.bits(static_cast<unsigned>(engine() % 2), 1);
    const std::string stream = writer.padded();
    found = difference(stream, round);
    const auto reference = run(*make_zlib_inflate(), stream);
    ++(reference.failure.empty() ? accepted : refused);
    INFO("round " << round << ": " << found);
    CHECK(found.empty());
  }
  CHECK(accepted > 500);
  CHECK(refused > 500);
}

TEST_CASE("own inflate: codes as RFC 1951 allows them, and the incomplete ones that zlib lets pass") {
  const auto tables = [](std::vector<std::uint8_t> literals, std::vector<std::uint8_t> distances) {
    const auto codes = std::make_unique<deflate::Codes>();
    return std::pair(deflate::build_literals(literals, codes->literals) == nullptr,
                     deflate::build_distances(distances, codes->distances) == nullptr);
  };
  const std::vector<std::uint8_t> one{1}, two{1, 1}, none{0, 0}, incomplete{2, 2}, lone_long{2},
      over{1, 1, 1};
  CHECK(tables(two, two) == std::pair(true, true));
  CHECK(tables(one, one) == std::pair(true, true));
  CHECK(tables(none, none) == std::pair(true, true)); // zlib refuses such literals as having no end
  CHECK(tables(incomplete, incomplete) == std::pair(false, false));
  CHECK(tables(lone_long, lone_long) == std::pair(false, false));
  CHECK(tables(over, over) == std::pair(false, false));
  // The largest second tables: every symbol in codes as long and as far apart as completeness allows.
  std::mt19937 engine(34);
  for (unsigned round = 0; round < 20'000; ++round) {
    const auto bytes = [&](std::size_t symbols) {
      const auto code = random_code(engine, symbols, symbols, round % 2 == 0);
      return std::vector<std::uint8_t>(code.begin(), code.end());
    };
    if (tables(bytes(deflate::literal_symbols), bytes(deflate::distance_symbols)) != std::pair(true, true))
      FAIL("round " << round);
  }
}
