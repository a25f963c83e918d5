// SPDX-License-Identifier: Apache-2.0
#include "s3/response.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>

namespace tmpdump::s3 {

namespace {

// Takes a decimal number off the front of `text`.
std::optional<std::uint64_t> take_number(std::string_view& text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end == text.data()) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

bool take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

GetFailure contradiction(std::string what) {
  return {{Errc::network, std::move(what)}, Verdict::retry_later, std::nullopt};
}

// Text of the first <tag>...</tag>; the five XML entities resolved, the rest left as it is.
std::string element(std::string_view xml, std::string_view tag) {
  const std::string open = "<" + std::string(tag) + ">";
  const std::string close = "</" + std::string(tag) + ">";
  const auto begin = xml.find(open);
  if (begin == std::string_view::npos) return {};
  const auto end = xml.find(close, begin);
  if (end == std::string_view::npos) return {};
  const auto text = xml.substr(begin + open.size(), end - begin - open.size()).substr(0, 512);
  static constexpr std::array<std::pair<std::string_view, char>, 5> entities{
      {{"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}, {"&amp;", '&'}}};
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const auto* const known = std::find_if(
        entities.begin(), entities.end(), [&](const auto& e) { return text.substr(i).starts_with(e.first); });
    out.push_back(known == entities.end() ? text[i] : known->second);
    i += known == entities.end() ? 1 : known->first.size();
  }
  return out;
}

} // namespace

std::optional<ContentRange> parse_content_range(std::string_view value) {
  if (!take(value, "bytes ")) return std::nullopt;
  const auto first = take_number(value);
  if (!first || !take(value, "-")) return std::nullopt;
  const auto last = take_number(value);
  if (!last || !take(value, "/")) return std::nullopt;
  const auto size = take_number(value);
  if (!size || !value.empty() || *first > *last || *last >= *size) return std::nullopt;
  return ContentRange{*first, *last, *size};
}

attempt_result<Extent> check_extent(const net::ResponseHead& head, const GetRequest& request) {
  if (const auto coding = head.header("content-encoding"); coding && *coding != "identity") {
    // The object was stored with this metadata; its bytes are still the archive's unless something on the way
    // recoded them, which a length that fits the range rules out. S3 never recodes.
    if (head.status != 206) {
      return GetFailure{{Errc::network, "the server applied Content-Encoding '" + printable(*coding) +
                                            "' to the archive; serve it as stored"},
                        Verdict::fatal,
                        std::nullopt};
    }
  }
  if (const auto type = head.header("content-type"); type && type->starts_with("multipart/byteranges")) {
    return contradiction("the server answered one range with multipart/byteranges");
  }
  if (!head.content_length) return contradiction("the answer has no Content-Length");
  const std::uint64_t length = *head.content_length;
  Extent extent;
  if (head.status == 206) {
    const auto value = head.header("content-range");
    const auto range = value ? parse_content_range(*value) : std::nullopt;
    if (!range) return contradiction("a 206 answer without a valid Content-Range");
    extent = {range->first, range->last - range->first + 1, range->size};
    if (extent.length != length) {
      return contradiction("Content-Range '" + printable(*value) + "' contradicts Content-Length " +
                           std::to_string(length));
    }
  } else {
    extent = {0, length, length};
  }
  const auto describe = [&] {
    return "asked for " + range_header(request) + " and got bytes " + std::to_string(extent.offset) + " to " +
           std::to_string(extent.offset + extent.length) + " of " + std::to_string(extent.object_size);
  };
  if (const auto* slice = std::get_if<Slice>(&request.range)) {
    const bool shortened =
        extent.length < slice->length && extent.offset + extent.length < extent.object_size;
    if (extent.offset == slice->offset && extent.length <= slice->length && !shortened) return extent;
  } else {
    const std::uint64_t wanted = std::min(std::get<Suffix>(request.range).length, extent.object_size);
    if (extent.length == wanted && extent.offset == extent.object_size - wanted) return extent;
  }
  if (head.status == 200) {
    return GetFailure{{Errc::network, "the server does not answer ranged requests (200 instead of 206); "
                                      "put the archive on S3 or a server that supports Range"},
                      Verdict::fatal,
                      std::nullopt};
  }
  return contradiction(describe());
}

std::string range_header(const GetRequest& request) {
  if (const auto* slice = std::get_if<Slice>(&request.range)) {
    return "bytes=" + std::to_string(slice->offset) + "-" + std::to_string(slice->offset + slice->length - 1);
  }
  return "bytes=-" + std::to_string(std::get<Suffix>(request.range).length);
}

ErrorDocument parse_error_document(std::string_view xml) {
  return {element(xml, "Code"), element(xml, "Message"), element(xml, "Region")};
}

ErrorDocument without_secrets(ErrorDocument document, const std::vector<std::string_view>& secrets) {
  constexpr std::size_t piece = 12; // bytes: a field may have been cut; fewer are in it by chance
  const auto repeats = [](std::string_view text, std::string_view secret) {
    std::size_t at = 0;
    do {
      if (!secret.empty() && text.find(secret.substr(at, piece)) != std::string_view::npos) return true;
    } while (++at + piece <= secret.size());
    return false;
  };
  for (std::string* field : {&document.code, &document.message, &document.region}) {
    if (std::any_of(secrets.begin(), secrets.end(), [&](auto secret) { return repeats(*field, secret); }))
      field->clear();
  }
  return document;
}

bool is_retryable(unsigned status, std::string_view code) {
  switch (status) {
  case 408:
  case 429:
  case 500:
  case 502:
  case 503:
  case 504:
  case 509:
    return true;
  default:
    break;
  }
  // Codes that arrive with a 400 or 403; the list of botocore's _retry.json and aws-c-s3.
  static constexpr std::array<std::string_view, 9> codes{"RequestTimeout",
                                                         "RequestTimeTooSkewed",
                                                         "SlowDown",
                                                         "InternalError",
                                                         "Throttling",
                                                         "ThrottlingException",
                                                         "RequestLimitExceeded",
                                                         "BandwidthLimitExceeded",
                                                         "ServiceUnavailable"};
  return std::find(codes.begin(), codes.end(), code) != codes.end();
}

std::optional<std::chrono::milliseconds> parse_retry_after(std::string_view value) {
  const auto seconds = take_number(value);
  if (!seconds || !value.empty()) return std::nullopt;
  return std::chrono::seconds(std::min<std::uint64_t>(*seconds, 10));
}

std::optional<std::chrono::system_clock::time_point> parse_http_date(std::string_view value) {
  std::tm parts{};
  const std::string text(value);
  const char* const end = strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  if (end == nullptr || *end != '\0') return std::nullopt;
  // Years that no server's clock shows are not a time; the far ones do not fit into system_clock's
  // nanoseconds.
  if (parts.tm_year < 70 || parts.tm_year >= 300) return std::nullopt;
  return std::chrono::system_clock::from_time_t(timegm(&parts));
}

} // namespace tmpdump::s3
