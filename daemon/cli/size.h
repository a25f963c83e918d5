// SPDX-License-Identifier: Apache-2.0
// Sizes and times as people read and type them. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tmpdump::cli {

// "449.2 MB": decimal units, as networks and the aws CLI's users count. "512 B" below a thousand.
std::string format_size(std::uint64_t bytes);
// "0.48 s", "1 min 05 s".
std::string format_seconds(double seconds);
// "512M", "1.5GiB", "10000": K, M, G, T are powers of 1024 with or without "iB", powers of 1000 with "B" (KB,
// MB), as GNU coreutils has it. nullopt: not a size.
std::optional<std::uint64_t> parse_size(std::string_view text);

} // namespace tmpdump::cli
