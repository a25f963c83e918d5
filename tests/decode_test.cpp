// SPDX-License-Identifier: Apache-2.0
#include "support/catch.h"
#include "support/decode_driver.h"

#include <zstd.h>

#include <fstream>
#include <iterator>
#include <malloc.h>
#include <thread>

using namespace tmpdump;
using namespace tmpdump::decode;
using namespace tmpdump::decode::test;

namespace {

std::string own_executable(std::size_t size) {
  std::ifstream file("/proc/self/exe", std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(file)), {});
  return bytes.substr(std::min(bytes.size(), std::size_t{200'000}), size);
}

struct Sample {
  const char* name;
  std::string data;
};

std::vector<Sample> samples(std::size_t size) {
  std::string far = random_bytes(32768, 5); // matches at exactly the window's size
  while (far.size() < size)
    far += far.substr(far.size() - 32768, 32768);
  far.resize(size);
  return {{"empty", ""},
          {"one byte", "x"},
          {"random", random_bytes(size, 1)},
          {"text", text_like(size, 2)},
          {"zeros", std::string(size, '\0')},
          {"executable", own_executable(size)},
          {"distance 32768", far}};
}

bool whole(const Outcome& outcome, std::string_view data, std::size_t compressed_size) {
  return outcome.violation.empty() && outcome.failure.empty() && outcome.finished &&
         outcome.consumed == compressed_size && outcome.output == data;
}

std::string zstd_frame(std::string_view data, int level = 3, bool checksum = true, int window_log = 0,
                       bool known_size = true) {
  const std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> context(ZSTD_createCCtx(), &ZSTD_freeCCtx);
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, level);
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_checksumFlag, checksum ? 1 : 0);
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_windowLog, window_log);
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_contentSizeFlag, known_size ? 1 : 0);
  std::string out(ZSTD_compressBound(data.size()), '\0');
  ZSTD_inBuffer input{data.data(), data.size(), 0};
  ZSTD_outBuffer output{out.data(), out.size(), 0};
  // Without a flush first, libzstd would know the size and shrink the window to it.
  if (!known_size) ZSTD_compressStream2(context.get(), &output, &input, ZSTD_e_flush);
  if (ZSTD_compressStream2(context.get(), &output, &input, ZSTD_e_end) != 0)
    throw std::runtime_error("ZSTD_compressStream2");
  out.resize(output.pos);
  return out;
}

std::string skippable_frame(std::string_view payload) {
  std::string frame("\x5A\x2A\x4D\x18", 4);
  for (unsigned shift = 0; shift < 32; shift += 8)
    frame.push_back(static_cast<char>(payload.size() >> shift));
  return frame.append(payload);
}

std::size_t heap_in_use() {
  const auto info = ::mallinfo2(); // zeros under sanitizers, whose allocator is another
  return info.uordblks + info.hblkhd;
}

} // namespace

TEST_CASE("every engine decodes what zlib compresses, at every level and strategy, however it is cut") {
  unsigned seed = 0;
  for (const auto& sample : samples(70'000)) {
    for (const int strategy : {Z_DEFAULT_STRATEGY, Z_FILTERED, Z_HUFFMAN_ONLY, Z_RLE, Z_FIXED}) {
      for (int level = 0; level <= 9; ++level) {
        const std::string compressed = deflate_raw(sample.data, level, strategy, 1 + level % 9);
        for (const auto& engine : inflate_engines) {
          ++seed;
          INFO(engine.name << ", " << sample.name << ", level " << level << ", strategy " << strategy
                           << ", seed " << seed);
          const auto at_once = engine.make();
          CHECK(whole(run(*at_once, compressed), sample.data, compressed.size()));
          const auto in_pieces = engine.make();
          CHECK(whole(run(*in_pieces, compressed, random_sizes(seed, 5000), random_sizes(seed + 1, 100'000)),
                      sample.data, compressed.size()));
        }
      }
    }
  }
}

TEST_CASE("a megabyte of several blocks in many random cuts") {
  const std::string data = text_like(600'000, 3) + random_bytes(100'000, 4) + own_executable(300'000);
  const std::string compressed = deflate_raw(data);
  for (unsigned seed = 1; seed <= 18; ++seed) {
    for (const auto& engine : inflate_engines) {
      INFO(engine.name << ", seed " << seed);
      const auto decoder = engine.make();
      const std::size_t in_limit = seed % 2 == 0 ? 40 : 70'000;
      const std::size_t out_limit = seed % 3 == 0 ? 2000 : 200'000;
      CHECK(whole(run(*decoder, compressed, random_sizes(seed, in_limit), random_sizes(~seed, out_limit)),
                  data, compressed.size()));
    }
  }
}

TEST_CASE("small streams survive a cut at every offset of input and output, and bytes behind them stay") {
  const std::string data = text_like(400, 6) + std::string(300, 'z') + random_bytes(40, 7);
  for (const int level : {0, 1, 9}) {
    for (const int strategy : {Z_DEFAULT_STRATEGY, Z_FIXED}) {
      const std::string compressed = deflate_raw(data, level, strategy, 1);
      for (const auto& engine : inflate_engines) {
        INFO(engine.name << ", level " << level << ", strategy " << strategy);
        for (const std::string_view garbage : {"0123456789abcdef", "\xff\xff"}) {
          const std::string input = compressed + std::string(garbage);
          bool good = true;
          for (std::size_t cut = 1; cut < compressed.size(); ++cut) {
            // The first chunk ends at the cut; then all, or byte by byte.
            for (const std::size_t next : {input.size(), std::size_t{1}}) {
              bool first = true;
              const auto decoder = engine.make();
              const auto sizes = [&] { return std::exchange(first, false) ? cut : next; };
              good = good && whole(run(*decoder, input, sizes), data, compressed.size());
            }
          }
          for (std::size_t cut = 1; cut < data.size(); ++cut) {
            bool first = true;
            const auto decoder = engine.make();
            const auto sizes = [&] { return std::exchange(first, false) ? cut : data.size(); };
            good = good && whole(run(*decoder, input, always(input.size()), sizes), data, compressed.size());
          }
          for (const std::size_t in : {1U, 2U, 3U, 7U, 8U, 9U, 64U}) {
            for (const std::size_t out : {1U, 2U, 5U, 258U, 300U}) {
              const auto decoder = engine.make();
              good = good && whole(run(*decoder, input, always(in), always(out)), data, compressed.size());
            }
          }
          CHECK(good);
        }
      }
    }
  }
}

TEST_CASE("a deflate stream that ends too early never finishes and is a prefix of the file") {
  const std::string data = text_like(1500, 8);
  const std::string compressed = deflate_raw(data);
  for (const auto& engine : inflate_engines) {
    INFO(engine.name);
    bool good = true;
    for (std::size_t size = 0; size < compressed.size(); ++size) {
      for (const std::size_t chunk : {std::size_t{1}, std::size_t{4096}}) {
        const auto decoder = engine.make();
        const auto outcome = run(*decoder, std::string_view(compressed).substr(0, size), always(chunk));
        good = good && !outcome.finished && outcome.failure.empty() && outcome.violation.empty() &&
               data.compare(0, outcome.output.size(), outcome.output) == 0;
      }
    }
    CHECK(good);
  }
}

TEST_CASE("a bomb costs its output's buffer and nothing else") {
  const std::string bomb = deflate_raw(std::string(64 << 20, '\0'), 9); // 1000 : 1
  for (const auto& engine : inflate_engines) {
    INFO(engine.name);
    const std::size_t before = heap_in_use();
    const auto decoder = engine.make();
    std::vector<std::byte> out(output_buffer_size);
    Bytes in = bytes_of(bomb);
    std::uint64_t produced = 0;
    std::size_t peak = 0;
    for (bool finished = false; !finished;) {
      const auto step = decoder->decode(in, out).value();
      in = in.subspan(step.consumed);
      produced += step.produced;
      finished = step.finished;
      peak = std::max(peak, heap_in_use());
    }
    CHECK(produced == 64 << 20);
    CHECK(peak - before < output_buffer_size + 200'000);
  }
}

TEST_CASE("stored data ends at the directory's size") {
  const std::string data = random_bytes(5000, 9);
  for (const std::size_t chunk : {1U, 100U, 5000U, 9000U}) {
    const auto decoder = make_decoder(zip::Method::stored, data.size());
    CHECK(whole(run(*decoder, data + "behind", always(chunk), always(chunk)), data, data.size()));
  }
  const auto nothing = make_decoder(zip::Method::stored, 0);
  CHECK(whole(run(*nothing, "behind"), "", 0));
  const auto short_one = make_decoder(zip::Method::stored, data.size() + 1);
  const auto outcome = run(*short_one, data);
  CHECK_FALSE(outcome.finished);
  CHECK(outcome.output == data);
}

TEST_CASE("zstd: one frame of every level and any cut") {
  unsigned seed = 0;
  for (const auto& sample : samples(150'000)) {
    for (const int level : {-5, 1, 3, 9, 19}) {
      ++seed;
      INFO(sample.name << ", level " << level << ", seed " << seed);
      const std::string compressed = zstd_frame(sample.data, level, seed % 2 == 0, 0, seed % 3 != 0);
      const auto at_once = make_decoder(zip::Method::zstd, compressed.size());
      CHECK(whole(run(*at_once, compressed + "behind"), sample.data, compressed.size()));
      const auto in_pieces = make_decoder(zip::Method::zstd, compressed.size());
      CHECK(whole(
          run(*in_pieces, compressed + "behind", random_sizes(seed, 5000), random_sizes(~seed, 100'000)),
          sample.data, compressed.size()));
    }
  }
}

TEST_CASE("zstd: told to hurry at any moment, it decodes what it has and goes on as it comes") {
  const std::string file = text_like(600'000, 3); // five blocks of 128 KiB
  const std::string packed = zstd_frame(file);
  std::vector<std::byte> out(50'000);
  constexpr std::size_t piece = 1'009;
  for (std::size_t hurry_at = 0; hurry_at < packed.size(); hurry_at += piece) {
    INFO("told after " << hurry_at << " of " << packed.size());
    const auto decoder = make_decoder(zip::Method::zstd, packed.size());
    std::string got;
    bool finished = false;
    for (std::size_t at = 0; at < packed.size(); at += piece) {
      if (at == hurry_at) {
        REQUIRE(got.empty());
        decoder->hurry();
      }
      Bytes in = bytes_of(packed).subspan(at, std::min(piece, packed.size() - at));
      for (std::size_t produced = out.size(); !in.empty() || produced == out.size();) {
        REQUIRE_FALSE(finished);
        const auto step = decoder->decode(in, out);
        REQUIRE(step.has_value());
        in = in.subspan(step->consumed);
        produced = step->produced;
        got.append(text_of(Bytes(out).first(produced)));
        finished = step->finished;
        if (finished) break;
      }
      // At least the blocks that are whole, but for one that has begun.
      if (at >= hurry_at && at + piece == packed.size() / 2 / piece * piece)
        CHECK(got.size() > file.size() / 4);
    }
    CHECK(finished);
    REQUIRE(got == file);
  }
}

TEST_CASE("zstd: frames in a row and skippable ones are one file, finished only at the entry's end") {
  const std::string a = text_like(700, 10), b = random_bytes(80, 11), c(5000, 'c');
  const std::string data = a + b + c;
  const std::string compressed = skippable_frame("index") + zstd_frame(a) + zstd_frame("") + zstd_frame(b) +
                                 skippable_frame("") + zstd_frame(c) + skippable_frame(std::string(300, 's'));
  bool good = true;
  for (std::size_t cut = 1; cut < compressed.size(); ++cut) {
    bool first = true;
    const auto decoder = make_decoder(zip::Method::zstd, compressed.size());
    const auto sizes = [&] { return std::exchange(first, false) ? cut : compressed.size(); };
    good = good && whole(run(*decoder, compressed + "behind", sizes), data, compressed.size());
  }
  CHECK(good);
  for (const std::size_t in : {1U, 3U, 9U, 1000U}) {
    for (const std::size_t out : {1U, 2U, 700U, 780U, 6000U}) {
      const auto decoder = make_decoder(zip::Method::zstd, compressed.size());
      CHECK(whole(run(*decoder, compressed + "behind", always(in), always(out)), data, compressed.size()));
    }
  }
  for (std::size_t size = 0; size < compressed.size(); ++size) {
    const auto decoder = make_decoder(zip::Method::zstd, compressed.size());
    const auto outcome = run(*decoder, std::string_view(compressed).substr(0, size));
    good = good && !outcome.finished && outcome.failure.empty() && outcome.violation.empty();
    // The directory itself may lie: the entry's end inside a frame is no end.
    const auto lied_to = make_decoder(zip::Method::zstd, size);
    const auto lie = run(*lied_to, compressed);
    good = good && lie.consumed <= size &&
           (lie.finished ? data.compare(0, lie.output.size(), lie.output) == 0 : lie.consumed == size);
  }
  CHECK(good);
}

TEST_CASE("zstd: what pack makes is kept until it is whole, what is larger is decoded as it comes") {
  const std::string frame = zstd_frame(text_like(300'000, 14));
  const std::string beginning = frame.substr(0, frame.size() / 2);
  std::vector<std::byte> out(400'000);
  const auto largest = make_decoder(zip::Method::zstd, max_gathered_zstd);
  const auto kept = largest->decode(bytes_of(beginning), out).value();
  CHECK((kept.produced == 0 && kept.consumed == beginning.size()));
  CHECK(largest->kept() == beginning.size());
  const auto larger = make_decoder(zip::Method::zstd, max_gathered_zstd + 1);
  CHECK(larger->decode(bytes_of(beginning), out).value().produced > 0);
  CHECK(larger->kept() == 0);
}

TEST_CASE("zstd: flipped bits never pass the frame's checksum, nor run over the buffers") {
  const std::string data = text_like(900, 12);
  const std::string compressed = zstd_frame(data);
  bool good = true;
  for (std::size_t bit = 0; bit < 8 * compressed.size(); ++bit) {
    std::string corrupt = compressed;
    corrupt[bit / 8] = static_cast<char>(corrupt[bit / 8] ^ (1 << (bit % 8)));
    const auto decoder = make_decoder(zip::Method::zstd, corrupt.size());
    const auto outcome = run(*decoder, corrupt, random_sizes(static_cast<unsigned>(bit), 200));
    good = good && outcome.violation.empty() && (!outcome.finished || outcome.output == data);
  }
  CHECK(good);
}

TEST_CASE("zstd: refused in a sentence: foreign bytes, formats of before 1.0, windows beyond 32 MiB") {
  const auto failure = [](const std::string& input, std::size_t chunk) {
    const auto decoder = make_decoder(zip::Method::zstd, input.size());
    return run(*decoder, input, always(chunk)).failure;
  };
  for (const std::size_t chunk : {std::size_t{1}, max_chunk}) {
    CHECK(failure("PK\x03\x04 is no frame", chunk) == "corrupt zstd data: not a frame of RFC 8878");
    CHECK(failure(std::string("\x25\xB5\x2F\xFD", 4) + std::string(20, 'x'), chunk) ==
          "corrupt zstd data: not a frame of RFC 8878"); // version 0.5
    CHECK(failure(zstd_frame("abc") + "garbage", chunk) == "corrupt zstd data: not a frame of RFC 8878");
    const std::size_t before = heap_in_use();
    CHECK(failure(zstd_frame(text_like(1000, 13), 3, true, 26, false), chunk) ==
          "zstd window of more than 32 MiB: compress without --long or --ultra");
    CHECK(heap_in_use() - before < 100'000);
  }
  const std::string data = text_like(1000, 13);
  const std::string largest = zstd_frame(data, 3, true, max_zstd_window_log, false);
  const auto decoder = make_decoder(zip::Method::zstd, largest.size());
  CHECK(whole(run(*decoder, largest), data, largest.size()));
}

TEST_CASE("zstd: who drops another thread's decoder keeps nothing of it, and who decodes keeps one window") {
  const std::string frame = zstd_frame(text_like(1000, 13), 3, true, max_zstd_window_log, false);
  const auto begun = [&] {
    auto decoder = make_decoder(zip::Method::zstd, frame.size());
    std::string out(10, '\0'); // its window is there, its end is not
    CHECK(decoder->decode(bytes_of(frame), std::as_writable_bytes(std::span(out))).has_value());
    return decoder;
  };
  std::thread([&] {
    const std::size_t before = heap_in_use();
    std::unique_ptr<Decoder> decoder;
    std::thread([&] { decoder = begun(); }).join();
    decoder.reset();
    CHECK(heap_in_use() - before < 1'000'000);
    begun();
    const std::size_t kept = heap_in_use();
    begun();
    CHECK(heap_in_use() == kept);
  }).join();
}

TEST_CASE("CRC-32 is zlib's, in any alignment and in pieces") {
  CHECK(decode::crc32(0, bytes_of("123456789")) == 0xCBF43926U);
  CHECK(decode::crc32(0, {}) == 0);
  CHECK(decode::crc32(0x12345678, {}) == 0x12345678);
  const std::string data = random_bytes(100'000, 14);
  const auto expected = [](std::string_view text) {
    return static_cast<std::uint32_t>(
        ::crc32(0, reinterpret_cast<const Bytef*>(text.data()), static_cast<uInt>(text.size())));
  };
  GuardedMemory memory(data.size());
  bool good = true;
  for (std::size_t size = 1; size < 600; ++size) {
    const MutableBytes end = memory.last(size);
    std::memcpy(end.data(), data.data(), size);
    good = good && decode::crc32(0, end) == expected(std::string_view(data).substr(0, size));
  }
  for (std::size_t offset = 0; offset < 70; ++offset) {
    const std::string_view text = std::string_view(data).substr(offset);
    const std::size_t middle = 1000 * offset;
    const std::uint32_t first = decode::crc32(0, bytes_of(text.substr(0, middle)));
    good = good && decode::crc32(first, bytes_of(text.substr(middle))) == expected(text);
  }
  CHECK(good);
}

TEST_CASE("the build says which engine inflates") {
  const std::string name(inflate_engine());
  CHECK((name == "own, BMI2" || name == "own, portable"));
}
