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
#ifdef TMPDUMP_HAVE_ISAL
  return make_isal_inflate();
#else
  return make_zlib_inflate();
#endif
}

} // namespace tmpdump::decode
