// SPDX-License-Identifier: Apache-2.0
// What an HTTP answer to a ranged GET means: pure functions, every field of the answer is untrusted.
#pragma once

#include "net/network.h"
#include "s3/object_source.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tmpdump::s3 {

struct ContentRange {
  std::uint64_t first = 0, last = 0, size = 0; // inclusive, as on the wire (RFC 9110 section 14.4)
};
// "bytes 0-9/100"; anything else, and ranges that contradict themselves, is nullopt.
std::optional<ContentRange> parse_content_range(std::string_view value);

// The extent of a 200 or 206 answer, checked against the request: the start must be the one asked for, the
// length what Content-Length says, the end no further than asked. A server that ignores Range (200) is
// accepted where its whole body is what was asked for.
struct Extent {
  std::uint64_t offset = 0, length = 0, object_size = 0;
};
attempt_result<Extent> check_extent(const net::ResponseHead& head, const GetRequest& request);

// "bytes=a-b" or "bytes=-n".
std::string range_header(const GetRequest& request);

// S3's error document: <Error><Code>..</Code><Message>..</Message><Region>..</Region></Error>.
struct ErrorDocument {
  std::string code, message, region;
};
ErrorDocument parse_error_document(std::string_view xml);
// What people are shown of it: a field in which there is a piece of a secret becomes empty. S3 repeats what
// was signed, and how, in elements of their own; others do so in the message.
ErrorDocument without_secrets(ErrorDocument document, const std::vector<std::string_view>& secrets);

// Status codes and S3 error codes that AWS's SDKs retry.
bool is_retryable(unsigned status, std::string_view code);

// Retry-After in seconds (RFC 9110 10.2.3), at most 10 s; the date form is ignored.
std::optional<std::chrono::milliseconds> parse_retry_after(std::string_view value);

// IMF-fixdate (RFC 9110 5.6.7), for a clock that is wrong.
std::optional<std::chrono::system_clock::time_point> parse_http_date(std::string_view value);

} // namespace tmpdump::s3
