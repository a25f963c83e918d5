// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

namespace tmpdump::cli {

struct ProfileArguments {
  std::optional<std::string> destination;
  std::optional<std::string> output; // where the profile file goes; "-": standard output
  bool json = false;
};

// `tmpdump profile`: the exit status. 0 when there is a manifest to show; with `output` only if a use is in
// it.
int run_profile(const ProfileArguments& arguments);

} // namespace tmpdump::cli
