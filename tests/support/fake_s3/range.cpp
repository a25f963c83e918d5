// SPDX-License-Identifier: Apache-2.0
#include "support/fake_s3/range.h"

#include "support/fake_s3/http.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>

namespace tmpdump::test {
namespace {

// 1*DIGIT; a number too large for 64 bits is larger than any object, so it saturates.
std::optional<std::uint64_t> number(std::string_view text) {
  if (text.empty() || !std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; }))
    return std::nullopt;
  std::uint64_t value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  return parsed.ec == std::errc() ? value : std::numeric_limits<std::uint64_t>::max();
}

} // namespace

ResolvedRange resolve_range(std::string_view header, std::uint64_t size) {
  using Kind = ResolvedRange::Kind;
  constexpr std::string_view unit = "bytes=";
  if (lower(header.substr(0, unit.size())) != unit) return {};
  header.remove_prefix(unit.size());
  while (!header.empty() && (header.front() == ' ' || header.front() == '\t'))
    header.remove_prefix(1);
  while (!header.empty() && (header.back() == ' ' || header.back() == '\t'))
    header.remove_suffix(1);
  const auto dash = header.find('-');
  if (dash == std::string_view::npos) return {};
  const std::string_view before = header.substr(0, dash);
  const std::string_view after = header.substr(dash + 1);

  if (before.empty()) {
    const auto suffix = number(after);
    if (!suffix) return {};
    // An empty object has no last bytes: S3 answers 416 to any range of it.
    if (*suffix == 0 || size == 0) return {.kind = Kind::unsatisfiable};
    const std::uint64_t length = std::min(*suffix, size);
    return {.kind = Kind::part, .first = size - length, .length = length};
  }

  const auto first = number(before);
  if (!first) return {};
  std::uint64_t last = std::numeric_limits<std::uint64_t>::max();
  if (!after.empty()) {
    const auto given = number(after);
    if (!given || *given < *first) return {}; // not a valid range, so there is no Range header
    last = *given;
  }
  if (*first >= size) return {.kind = Kind::unsatisfiable};
  last = std::min(last, size - 1);
  return {.kind = Kind::part, .first = *first, .length = last - *first + 1};
}

} // namespace tmpdump::test
