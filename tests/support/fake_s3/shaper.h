// SPDX-License-Identifier: Apache-2.0
// A link's rate as a queue in virtual time: whoever wants to send is told when its turn comes.
#pragma once

#include "support/fake_s3.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <mutex>

namespace tmpdump::test {

class TokenBucket {
public:
  using Clock = std::chrono::steady_clock;

  // Bytes a second; 0: no limit. The first `burst_bytes` flow at `burst_rate` instead.
  explicit TokenBucket(std::uint64_t rate, std::uint64_t burst_bytes = 0, std::uint64_t burst_rate = 0)
      : rate_(rate), burst_rate_(burst_rate), burst_left_(burst_bytes) {}

  [[nodiscard]] bool limits() const { return rate_ != 0; }

  // When these bytes may be sent. Thread-safe.
  Clock::time_point reserve(std::uint64_t bytes, Clock::time_point now) {
    if (rate_ == 0) return now;
    const std::lock_guard lock(mutex_);
    // What a late timer lost may be caught up, an idle link saves up nothing.
    constexpr auto catch_up = std::chrono::milliseconds(5);
    next_ = std::max(next_, now - catch_up);
    const std::uint64_t fast = std::min(bytes, burst_left_);
    burst_left_ -= fast;
    next_ += time_for(bytes - fast, rate_) + time_for(fast, burst_rate_ == 0 ? rate_ : burst_rate_);
    return next_;
  }

private:
  static Clock::duration time_for(std::uint64_t bytes, std::uint64_t rate) {
    return std::chrono::duration_cast<Clock::duration>(
        std::chrono::duration<double>(static_cast<double>(bytes) / static_cast<double>(rate)));
  }
  const std::uint64_t rate_;
  const std::uint64_t burst_rate_;
  std::mutex mutex_;
  std::uint64_t burst_left_;    // guarded by mutex_
  Clock::time_point next_ = {}; // guarded by mutex_; when the link is free again
};

// Slices small enough that connections take turns and rates are smooth, large enough to cost little CPU.
inline constexpr std::uint64_t shaped_slice = 65'536;

} // namespace tmpdump::test
