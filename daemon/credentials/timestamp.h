// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/error.h"

#include <chrono>
#include <string_view>

namespace tmpdump::credentials {

// RFC 3339, the profile of ISO 8601 that AWS writes: 2030-01-02T03:04:05Z, also with a fraction of a second
// (dropped) and with an offset such as +01:00. Years outside 1970 to 2199 become the nearer end of that span:
// 9999 is written for "never", and system_clock ends in 2262.
result<std::chrono::system_clock::time_point> parse_timestamp(std::string_view text);

} // namespace tmpdump::credentials
