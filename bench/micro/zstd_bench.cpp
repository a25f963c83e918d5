// SPDX-License-Identifier: Apache-2.0
// What one core does with a segment of a packed archive. The content is machine code: this program's own.
#include "decode/decoder.h"
#include "support/catch.h"

#include <zstd.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

using namespace tmpdump;

namespace {

constexpr std::size_t segment = std::size_t{1} << 20U;

std::string machine_code() {
  std::ifstream self("/proc/self/exe", std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(self), {}};
  REQUIRE(bytes.size() >= segment);
  bytes.resize(segment);
  return bytes;
}

std::string compressed(const std::string& content, int level) {
  std::string out(ZSTD_compressBound(content.size()), '\0');
  const std::size_t size = ZSTD_compress(out.data(), out.size(), content.data(), content.size(), level);
  REQUIRE(ZSTD_isError(size) == 0);
  out.resize(size);
  return out;
}

// As the decode stage drives it: 256 KiB of output at a time.
std::uint64_t decode_all(const std::string& frame, std::vector<std::byte>& out) {
  const auto decoder = decode::make_decoder(zip::Method::zstd, frame.size());
  Bytes in = bytes_of(std::string_view(frame));
  std::uint64_t produced = 0;
  for (;;) {
    const auto step = decoder->decode(in, out).value();
    in = in.subspan(step.consumed);
    produced += step.produced;
    if (step.finished) return produced;
  }
}

} // namespace

TEST_CASE("zstd") {
  const std::string content = machine_code();
  std::vector<std::byte> out(decode::output_buffer_size);
  for (const int level : {3, 9, 19}) {
    const std::string frame = compressed(content, level);
    REQUIRE(decode_all(frame, out) == content.size());
    BENCHMARK("zstd, decode level " + std::to_string(level) + ", 1 MiB of machine code") {
      return decode_all(frame, out);
    };
  }
  const std::string frame = compressed(content, 19);
  std::string whole(content.size(), '\0');
  BENCHMARK("zstd, libzstd's one call, level 19, 1 MiB of machine code") {
    return ZSTD_decompress(whole.data(), whole.size(), frame.data(), frame.size());
  };
  REQUIRE(whole == content);
}
