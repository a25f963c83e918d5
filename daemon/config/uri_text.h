// SPDX-License-Identifier: Apache-2.0
// What this module's files share beyond uri.h.
#pragma once

#include "config/uri.h"

#include <string>
#include <string_view>

namespace tmpdump::config {

// The text as an error may show it: in quotes, printable, without an http URL's query and user info.
std::string quoted_uri(std::string_view text);

// 3 to 63 of A-Z a-z 0-9 . _ -: S3's rules are stricter, other servers' are not.
result<void> check_bucket(std::string_view name);

// http:// and https:// only.
result<HttpUri> parse_http_uri(std::string_view text);

} // namespace tmpdump::config
