// SPDX-License-Identifier: Apache-2.0
// The extension's life: manifest, register, prefetch, next, shutdown.
#pragma once

#include "base/error.h"
#include "config/options.h"
#include "prefetch/prefetch.h"

#include <functional>
#include <string>
#include <string_view>

namespace tmpdump::lambda {

struct Surroundings {
  std::string name; // the executable's file name: the Extensions API identifies by it
  std::string_view version;
  prefetch::Clock::time_point exec;            // when the process started
  std::string runtime_api;                     // AWS_LAMBDA_RUNTIME_API
  std::string destination;                     // TMPDUMP_DEST, known even when the other settings are bad
  std::string exposed;                         // why this process could not keep to itself; empty: it could
  std::function<void(std::string_view)> print; // gets whole lines, without line end; from any thread
};

inline std::string user_agent(const Surroundings& surroundings) {
  return "tmpdump-prefetch/" + std::string(surroundings.version);
}

// Runs until SHUTDOWN or SIGTERM (status 0) or a fatal error (status 1). `options` may be a failure: then
// Lambda, the log, and whoever waits at the destination are told.
int run_extension(result<config::Options> options, const Surroundings& surroundings);

} // namespace tmpdump::lambda
