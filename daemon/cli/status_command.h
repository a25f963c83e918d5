// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

namespace tmpdump::cli {

struct StatusArguments {
  std::optional<std::string> destination;
  bool json = false;
  bool follow = false; // not with json
};

// `tmpdump status`: the exit status. 0 when there is a manifest to show, whatever it says; with `follow` as
// for `tmpdump wait`: 0 only if everything is there at the end.
int run_status(const StatusArguments& arguments);

} // namespace tmpdump::cli
