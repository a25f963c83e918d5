// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/snapshot.h"

#include <chrono>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

namespace tmpdump::cli {

// Shows what a daemon does while it does it: a terminal is redrawn in place, anything else gets a line for
// every file that comes. Sleeps on the manifest's futex word between.
class Follower {
public:
  Follower(std::string destination, std::FILE* out);
  // Until everything is there, or the failure that it ended with.
  result<void> run();

private:
  result<void> show(const manifest::Status& status);
  result<std::string> frame();
  result<std::string> lines(const manifest::Status& status);
  result<std::string> arrivals(const manifest::Status& status);

  std::string destination_;
  std::FILE* out_;
  bool terminal_;
  std::optional<manifest::Reader> reader_;
  unsigned drawn_ = 0; // lines on the terminal

  // What lines() has said already.
  std::optional<std::uint64_t> generation_;
  bool listed_ = false;
  std::vector<std::uint32_t> missing_; // entries that have not come
};

} // namespace tmpdump::cli
