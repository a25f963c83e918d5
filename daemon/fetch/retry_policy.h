// SPDX-License-Identifier: Apache-2.0
// How long to wait before asking again, when to give up, when to ask twice. Pure.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>

namespace tmpdump::fetch {

using std::chrono::milliseconds;

// Exponential with full jitter (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
struct RetryPolicy {
  milliseconds base{100};
  milliseconds cap{2000};
  // A range that brings less than `progress` bytes in so long a time, whether its attempts fail or hang, is
  // given up, at most a sixteenth earlier; INIT is killed after 10 s, and the reason must be told before.
  milliseconds deadline{9000};
  std::uint64_t progress = 64U << 10U;

  // `failures` in a row so far, at least 1; `random` in [0, 1). The server's Retry-After is a lower bound.
  [[nodiscard]] milliseconds delay(unsigned failures, double random,
                                   std::optional<milliseconds> retry_after) const {
    const unsigned doublings = std::min(failures == 0 ? 0U : failures - 1, 20U);
    const auto ceiling = std::min<std::int64_t>(cap.count(), base.count() << doublings);
    const milliseconds jittered{static_cast<std::int64_t>(static_cast<double>(ceiling) * random)};
    return std::max(jittered, retry_after.value_or(milliseconds{0}));
  }
};

// A range is asked for a second time when everything waits for it and it is clearly slower than its peers.
struct HedgePolicy {
  bool enabled = true;
  // S3 answers in 25 ms, 2 % of the time in 150: a request for the directory, on which all depends, is
  // doubled after 100 ms; ranges of data, which are not alone, after 250 ms without a byte or below a quarter
  // of the others' rate.
  milliseconds directory{100};
  milliseconds data{250};
  double slow = 0.25;
  unsigned max_at_once = 2;

  struct Progress {
    bool directory = false;  // the range holds the directory
    bool waited_for = false; // the first incomplete range, or no range is left to begin
    bool paused = false;     // we stopped reading: back-pressure, not the server
    unsigned hedges = 0;     // in flight now
    std::uint64_t bytes = 0; // received by this range since the last look
    // Received by an average other range in the same time, now or, were they quicker, before they ended; 0:
    // no other.
    std::uint64_t peers = 0;
  };
  [[nodiscard]] bool should_hedge(const Progress& progress) const {
    if (!enabled || progress.paused || !progress.waited_for || progress.hedges >= max_at_once) return false;
    if (progress.bytes == 0) return true;
    return static_cast<double>(progress.bytes) < slow * static_cast<double>(progress.peers);
  }
};

} // namespace tmpdump::fetch
