// SPDX-License-Identifier: Apache-2.0
// CRC-32 by ISA-L where the build has it, else by zlib.
#include "decode/decoder.h"

#ifdef TMPDUMP_HAVE_ISAL
#include <isa-l.h>
#endif

#include <zlib.h>

namespace tmpdump::decode {

std::uint32_t crc32_combine(std::uint32_t a, std::uint32_t b, std::uint64_t length_of_b) {
  return static_cast<std::uint32_t>(::crc32_combine64(a, b, static_cast<z_off64_t>(length_of_b)));
}

#ifdef TMPDUMP_HAVE_ISAL

std::uint32_t crc32(std::uint32_t crc, Bytes bytes) {
  return crc32_gzip_refl(crc, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
}

#else

std::uint32_t crc32(std::uint32_t crc, Bytes bytes) {
  if (bytes.empty()) return crc; // to zlib a null pointer means "start over"
  return static_cast<std::uint32_t>(
      ::crc32_z(crc, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

#endif

} // namespace tmpdump::decode
