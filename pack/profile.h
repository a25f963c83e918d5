// SPDX-License-Identifier: Apache-2.0
// The order of an archive's entries: what is used first arrives first.
#pragma once

#include "base/error.h"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace tmpdump::pack {

// One path a line, '#' begins a comment; "/tmp/" before a path is dropped. Pure.
std::vector<std::string> parse_profile(std::string_view text);
result<std::vector<std::string>> read_profile(const std::string& file);

struct Order {
  std::vector<std::size_t> positions; // of `paths`: the profile's in its order, then the others in theirs
  std::vector<std::string> unknown;   // the profile's that are not among the paths
};
Order order_by(const std::vector<std::string>& profile, const std::vector<std::string>& paths);

} // namespace tmpdump::pack
