// SPDX-License-Identifier: Apache-2.0
// The Range header as S3 takes it: one range, RFC 9110 section 14. Positions are inclusive.
#pragma once

#include <cstdint>
#include <string_view>

namespace tmpdump::test {

struct ResolvedRange {
  enum class Kind {
    whole,         // no valid single range: the header is ignored (RFC 9110 section 14.2)
    part,          // first and length hold
    unsatisfiable, // 416
  };
  Kind kind = Kind::whole;
  std::uint64_t first = 0;
  std::uint64_t length = 0;
};

ResolvedRange resolve_range(std::string_view header, std::uint64_t object_size);

} // namespace tmpdump::test
