// SPDX-License-Identifier: Apache-2.0
#include "decode/decoder.h"

#include "decode/engines.h"

#include <array>

namespace tmpdump::decode {

std::unique_ptr<Decoder> make_decoder(zip::Method method, std::uint64_t compressed_size) {
  switch (method) {
  case zip::Method::stored:
    return make_stored(compressed_size);
  case zip::Method::zstd:
    return make_zstd(compressed_size);
  case zip::Method::deflate:
    break;
  }
  return make_fast_inflate();
}

bool is_at_block_boundary(Decoder& decoder) {
  static constexpr std::array<std::byte, 5> last_block{std::byte{1}, std::byte{0}, std::byte{0},
                                                       std::byte{0xFF}, std::byte{0xFF}};
  std::array<std::byte, 1> nothing{};
  Bytes left(last_block);
  for (;;) {
    const auto step = decoder.decode(left, nothing);
    if (!step || step->produced > 0) return false;
    left = left.subspan(step->consumed);
    if (step->finished) return left.empty();
    if (step->consumed == 0) return false;
  }
}

std::string_view inflate_engine() {
  return deflate::loops().size() > 1 ? "own, BMI2" : "own, portable";
}

std::vector<InflateEngine> built_engines() {
  std::vector<InflateEngine> out{{"zlib", [] { return make_zlib_inflate(); }}};
#ifdef TMPDUMP_HAVE_ISAL
  out.push_back({"isa-l", [] { return make_isal_inflate(); }});
#endif
  const auto loops = deflate::loops();
  for (std::size_t i = 0; i < loops.size(); ++i) {
    out.push_back({"own, " + std::string(i == 0 ? "portable" : "BMI2"),
                   [loop = loops[i]] { return make_fast_inflate(loop); }});
  }
  return out;
}

} // namespace tmpdump::decode
