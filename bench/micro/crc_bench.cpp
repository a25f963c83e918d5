// SPDX-License-Identifier: Apache-2.0
// Every decoded byte passes the CRC once. Ours beside the libraries that one might take instead.
#include "decode/decoder.h"
#include "support/catch.h"

#include <zlib.h>

#include <libdeflate.h>
#include <random>
#include <vector>

using namespace tmpdump;

namespace {

std::vector<std::byte> noise(std::size_t size) {
  std::mt19937_64 random(1);
  std::vector<std::byte> out(size);
  for (auto& byte : out)
    byte = static_cast<std::byte>(random());
  return out;
}

} // namespace

TEST_CASE("CRC-32") {
  const auto large = noise(std::size_t{16} << 20U);
  const Bytes buffer = Bytes(large).first(decode::output_buffer_size);
  const auto by_zlib = [](Bytes bytes) {
    return ::crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
  };
  const auto by_libdeflate = [](Bytes bytes) { return ::libdeflate_crc32(0, bytes.data(), bytes.size()); };
  REQUIRE(decode::crc32(0, large) == by_zlib(large));
  REQUIRE(decode::crc32(0, large) == by_libdeflate(large));

  BENCHMARK("CRC, this build's engine, 256 KiB") {
    return decode::crc32(0, buffer);
  };
  BENCHMARK("CRC, this build's engine, 16 MiB") {
    return decode::crc32(0, large);
  };
  BENCHMARK("CRC, zlib, 256 KiB") {
    return by_zlib(buffer);
  };
  BENCHMARK("CRC, libdeflate, 256 KiB") {
    return by_libdeflate(buffer);
  };
  BENCHMARK("CRC, two combined, the second of 8 MiB") {
    return decode::crc32_combine(0x12345678, 0x9ABCDEF0, 8U << 20U);
  };
}
