// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace tmpdump::test {

std::string hex(std::string_view bytes); // lower case
std::string md5_hex(std::string_view bytes);
std::string sha256_hex(std::string_view bytes);
std::string hmac_sha256(std::string_view key, std::string_view bytes); // 32 raw bytes

} // namespace tmpdump::test
