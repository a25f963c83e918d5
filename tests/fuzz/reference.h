// SPDX-License-Identifier: Apache-2.0
// What data decode to, by the libraries' simplest calls: the second opinion.
#pragma once

#include "base/bytes.h"
#include "zip/directory.h"

#include <zlib.h>
#include <zstd.h>

#include <cstdint>
#include <optional>
#include <string>

namespace tmpdump::fuzz {

inline constexpr std::size_t reference_limit = std::size_t{1} << 20U;

struct Inflated {
  std::string content;
  bool finished = false; // the last block was seen, and the data end with it
};

// Nothing: corrupt, or more than the limit.
inline std::optional<Inflated> reference_inflate(Bytes data) {
  z_stream stream{};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) return std::nullopt;
  Inflated out;
  out.content.resize(reference_limit);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(data.data()));
  stream.avail_in = static_cast<uInt>(data.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.content.data());
  stream.avail_out = static_cast<uInt>(out.content.size());
  const int status = inflate(&stream, Z_SYNC_FLUSH);
  out.content.resize(stream.total_out);
  const bool all = stream.avail_in == 0 && stream.avail_out > 0;
  out.finished = status == Z_STREAM_END && all;
  inflateEnd(&stream);
  if (!all || (status != Z_STREAM_END && status != Z_OK && status != Z_BUF_ERROR)) return std::nullopt;
  return out;
}

inline std::optional<std::string> reference_decode(zip::Method method, Bytes data) {
  if (method == zip::Method::stored) return std::string(text_of(data));
  if (method == zip::Method::deflate) {
    auto inflated = reference_inflate(data);
    if (!inflated || !inflated->finished) return std::nullopt;
    return std::move(inflated->content);
  }
  std::string out(reference_limit, '\0');
  const std::size_t size = ZSTD_decompress(out.data(), out.size(), data.data(), data.size());
  if (ZSTD_isError(size) != 0 || data.empty()) return std::nullopt;
  out.resize(size);
  return out;
}

inline std::uint32_t reference_crc(std::string_view content) {
  return static_cast<std::uint32_t>(
      ::crc32(0, reinterpret_cast<const Bytef*>(content.data()), static_cast<uInt>(content.size())));
}

} // namespace tmpdump::fuzz
