// SPDX-License-Identifier: Apache-2.0
#include "decode/decoder.h"

#include "decode/engines.h"

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
