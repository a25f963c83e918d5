// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/error.h"

#include <optional>
#include <string>
#include <vector>

namespace tmpdump::cli {

struct WaitArguments {
  std::optional<std::string> destination;
  std::vector<std::string> paths; // none: everything
  std::optional<double> timeout;  // seconds, for all paths together; none: no limit
};

// `tmpdump wait`: the exit status. Says nothing when all is well.
int run_wait(const WaitArguments& arguments);

// What a code of the client library (neither OK, FAILED nor SYSTEM) means for `path`, nullptr: everything.
// Pure but for the destination's own path.
Failure explain_wait(int code, const std::string* path, const std::string& destination, double timeout);

// Seconds as the client library's milliseconds, rounded up, so that only 0 does not wait at all; at most what
// an int holds (24 days). nullopt: negative, or not a number.
std::optional<int> to_milliseconds(double seconds);

} // namespace tmpdump::cli
