// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/options.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tmpdump::cli {

struct FetchArguments {
  config::Overrides overrides;
  std::vector<std::string> include, exclude; // globs on entry paths, as unzip's: '*' matches '/' too
  std::optional<std::uint64_t> range_size;   // bytes of one ranged GET; none: the default
  bool list = false;
  bool quiet = false;
  bool progress = false; // even when quiet
};

// `tmpdump fetch`: the exit status. Progress and errors go to stderr, the summary or the list to stdout.
int run_fetch(const FetchArguments& arguments);

} // namespace tmpdump::cli
