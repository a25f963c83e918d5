// SPDX-License-Identifier: Apache-2.0
// The aws-chunked body of an upload: SIZE[;chunk-signature=...] CRLF bytes CRLF ... 0 CRLF trailers CRLF.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html. Chunk signatures are not looked at.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tmpdump::test {

inline std::optional<std::string> decode_aws_chunked(std::string_view body) {
  std::string out;
  for (;;) {
    const auto line_end = body.find("\r\n");
    if (line_end == std::string_view::npos) return std::nullopt;
    std::uint64_t size = 0;
    const auto parsed = std::from_chars(body.data(), body.data() + line_end, size, 16);
    if (parsed.ec != std::errc()) return std::nullopt;
    body.remove_prefix(line_end + 2);
    if (size == 0) return out; // trailers follow
    if (size > body.size() || body.size() - size < 2) return std::nullopt;
    out.append(body.substr(0, size));
    body.remove_prefix(size + 2);
  }
}

} // namespace tmpdump::test
