// SPDX-License-Identifier: Apache-2.0
// Deflate streams (RFC 1951) that no compressor writes, built bit by bit.
#include "support/bit_writer.h"
#include "support/catch.h"
#include "support/decode_driver.h"

using namespace tmpdump;
using namespace tmpdump::decode;
using namespace tmpdump::decode::test;

namespace {

void check_refused(const std::string& what, const std::string& stream) {
  for (const auto& engine : inflate_engines) {
    for (const std::size_t in : {std::size_t{1}, max_chunk}) {
      for (const std::size_t out : {std::size_t{1}, max_chunk}) {
        INFO(what << ": " << engine.name << ", in " << in << ", out " << out);
        const auto decoder = engine.make();
        const auto outcome = run(*decoder, stream, always(in), always(out));
        CHECK_FALSE(outcome.finished);
        CHECK(outcome.violation.empty());
        CHECK(outcome.failure.rfind("corrupt deflate data: ", 0) == 0);
      }
    }
  }
}

BitWriter fixed_block() {
  BitWriter writer;
  writer.bits(1, 1).bits(1, 2);
  return writer;
}

} // namespace

TEST_CASE("the builder of hostile streams can build a good one") {
  // abc, then 5 bytes from 3 back.
  BitWriter writer = fixed_block();
  writer.fixed('a').fixed('b').fixed('c').fixed(259).fixed_distance(2).fixed(256);
  for (const auto& engine : inflate_engines) {
    const auto decoder = engine.make();
    const auto outcome = run(*decoder, writer.padded());
    CHECK(outcome.finished);
    CHECK(outcome.output == "abcabcab");
    CHECK(outcome.consumed == writer.bytes().size());
  }
}

TEST_CASE("what RFC 1951 forbids is refused by every engine") {
  check_refused("block type 3", BitWriter().bits(1, 1).bits(3, 2).padded());
  check_refused("stored block, LEN and NLEN disagree",
                BitWriter().bits(1, 1).bits(0, 7).bits(5, 16).bits(0, 16).padded());
  check_refused("distance 1 before the first byte", fixed_block().fixed(257).fixed_distance(0).padded());
  check_refused("distance 2 after one byte", fixed_block().fixed('a').fixed(257).fixed_distance(1).padded());
  check_refused("length symbol 286", fixed_block().fixed('a').fixed(286).fixed_distance(0).padded());
  check_refused("length symbol 287", fixed_block().fixed('a').fixed(287).fixed_distance(0).padded());
  check_refused("distance symbol 30", fixed_block().fixed('a').fixed(257).fixed_distance(30).padded());
  check_refused("distance symbol 31", fixed_block().fixed('a').fixed(257).fixed_distance(31).padded());
  check_refused("287 literal codes", BitWriter().dynamic(287, 1, {{0, 1}, {1, 1}}).padded());
  check_refused("31 distance codes", BitWriter().dynamic(257, 31, {{0, 1}, {1, 1}}).padded());
  check_refused("no code length code", BitWriter().dynamic(257, 1, {}).padded());
  check_refused("over-subscribed code length code",
                BitWriter().dynamic(257, 1, {{0, 1}, {1, 1}, {2, 1}}).padded());
  check_refused("repeat with nothing before it",
                BitWriter().dynamic(257, 1, {{16, 1}, {0, 1}}).code(1, 1).bits(0, 2).padded());
  // 258 lengths in all: 138 + 138 zeros are too many.
  check_refused("zeros beyond the last length", BitWriter()
                                                    .dynamic(257, 1, {{18, 1}, {0, 1}})
                                                    .code(1, 1)
                                                    .bits(127, 7)
                                                    .code(1, 1)
                                                    .bits(127, 7)
                                                    .padded());
  {
    // Codes of length 1 for all of the 257 literals: symbol 1 is '1', symbol 0 is '0'.
    BitWriter writer;
    writer.dynamic(257, 1, {{0, 1}, {1, 1}});
    for (int i = 0; i < 258; ++i)
      writer.code(1, 1);
    check_refused("over-subscribed literal code", writer.padded());
  }
  {
    // 'a' and 'b' of length 1, no code for the end of the block.
    BitWriter writer;
    writer.dynamic(257, 1, {{0, 1}, {1, 1}});
    for (unsigned i = 0; i < 258; ++i)
      writer.code(i == 'a' || i == 'b' ? 1 : 0, 1);
    check_refused("no end of block code", writer.padded());
  }
  {
    // 'a' and the end of length 1, three distance codes of length 1.
    BitWriter writer;
    writer.dynamic(257, 3, {{0, 1}, {1, 1}});
    for (unsigned i = 0; i < 260; ++i)
      writer.code(i == 'a' || i >= 256 ? 1 : 0, 1);
    check_refused("over-subscribed distance code", writer.padded());
  }
}

TEST_CASE("a distance reaches back over everything that was put out, and not one byte further") {
  const std::string history = random_bytes(32768, 20);
  for (const unsigned size : {24577U, 32767U, 32768U}) {
    // The history in a stored block, then a match of 3 from symbol 29 (24577 and 13 extra bits).
    for (const unsigned distance : {24577U, size, std::min(size + 1, 32768U)}) {
      BitWriter writer;
      writer.bits(0, 8).bits(size, 16).bits(~size & 0xFFFFU, 16);
      for (unsigned i = 0; i < size; ++i)
        writer.bits(static_cast<unsigned char>(history[i]), 8);
      writer.bits(1, 1).bits(1, 2).fixed(257).fixed_distance(29).bits(distance - 24577, 13).fixed(256);
      if (distance > size) {
        check_refused("one too far", writer.padded());
        continue;
      }
      const std::string expected = history.substr(0, size) + history.substr(size - distance, 3);
      for (const auto& engine : inflate_engines) {
        INFO(engine.name << ", size " << size << ", distance " << distance);
        for (const std::size_t out : {std::size_t{1000}, std::size_t{32768}, max_chunk}) {
          const auto decoder = engine.make();
          const auto outcome = run(*decoder, writer.padded(), always(max_chunk), always(out));
          CHECK(outcome.finished);
          CHECK((outcome.output == expected));
        }
      }
    }
  }
}

TEST_CASE("incomplete codes: zlib and our own engine refuse, ISA-L may decode; none invents data") {
  // Literal code: 'a' of length 2, the end of length 2; two of the four codes mean nothing.
  const auto head = [] {
    BitWriter writer;
    writer.dynamic(257, 1, {{0, 1}, {2, 1}}); // code 0: length 0, code 1: length 2
    for (unsigned i = 0; i < 258; ++i)
      writer.code(i == 'a' || i == 256 ? 1 : 0, 1);
    return writer;
  };
  const std::string good = head().code(0, 2).code(0, 2).code(1, 2).padded(); // a, a, end
  const std::string bad = head().code(0, 2).code(3, 2).code(1, 2).padded();  // a, nothing, end
  for (const auto& engine : inflate_engines) {
    INFO(engine.name);
    const auto decoder = engine.make();
    const auto outcome = run(*decoder, good);
    CHECK((outcome.finished ? outcome.output == "aa" : !outcome.failure.empty()));
    const auto other = engine.make();
    CHECK_FALSE(run(*other, bad).failure.empty());
  }
  CHECK_FALSE(run(*make_zlib_inflate(), good).failure.empty());
  CHECK_FALSE(run(*make_decoder(zip::Method::deflate, 0), good).failure.empty());
}

TEST_CASE("flipped bits: where zlib still finishes, so does every engine, with the same bytes") {
  const std::string data = text_like(1500, 21) + std::string(400, '-') + random_bytes(40, 22);
  unsigned long finished = 0;
  for (const int strategy : {Z_DEFAULT_STRATEGY, Z_FIXED, Z_HUFFMAN_ONLY}) {
    const std::string compressed = deflate_raw(data, 6, strategy);
    bool good = true;
    for (std::size_t bit = 0; bit < 8 * compressed.size(); ++bit) {
      std::string corrupt = compressed;
      corrupt[bit / 8] = static_cast<char>(corrupt[bit / 8] ^ (1 << (bit % 8)));
      const auto reference = run(*make_zlib_inflate(), corrupt);
      const auto own = make_decoder(zip::Method::deflate, corrupt.size());
      const auto outcome = run(*own, corrupt, random_sizes(static_cast<unsigned>(bit), 300));
      good = good && reference.violation.empty() && outcome.violation.empty();
      if (!reference.finished) continue;
      ++finished;
      good = good && outcome.finished && outcome.output == reference.output &&
             outcome.consumed == reference.consumed;
    }
    CHECK(good);
  }
  CHECK(finished > 100); // else the test says little
}

TEST_CASE("noise never crashes, hangs, or runs over") {
  bool good = true;
  for (unsigned seed = 0; seed < 3000; ++seed) {
    const std::string noise = random_bytes(1 + seed % 700, 1000 + seed);
    const auto reference = run(*make_zlib_inflate(), noise);
    const auto own = make_decoder(zip::Method::deflate, noise.size());
    const auto outcome = run(*own, noise, random_sizes(seed, 100), random_sizes(~seed, 1000));
    good = good && reference.violation.empty() && outcome.violation.empty() &&
           (!reference.finished || (outcome.finished && outcome.output == reference.output));
  }
  CHECK(good);
}
