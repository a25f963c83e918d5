// SPDX-License-Identifier: Apache-2.0
// Which paths of an archive are meant, as --include and --exclude say it. Pure.
#pragma once

#include <algorithm>
#include <fnmatch.h>
#include <string>
#include <vector>

namespace tmpdump::cli {

// Globs as unzip's: '*' matches '/' too.
using Globs = std::vector<std::string>;

inline bool matches_any(const Globs& globs, const std::string& path) {
  return std::any_of(globs.begin(), globs.end(),
                     [&](const auto& glob) { return fnmatch(glob.c_str(), path.c_str(), 0) == 0; });
}

// Without `include` everything is included; `exclude` goes first.
inline bool wants(const Globs& include, const Globs& exclude, const std::string& path) {
  return (include.empty() || matches_any(include, path)) && !matches_any(exclude, path);
}

} // namespace tmpdump::cli
