// SPDX-License-Identifier: Apache-2.0
#include "shaper.h"

#include <algorithm>

namespace tmpdump::bench {

void Line::take(std::uint64_t bytes, double rate, Clock::time_point now) {
  if (rate <= 0) return;
  const std::chrono::duration<double> needed(static_cast<double>(bytes) / rate);
  next_ = std::max(next_, now - slack) + std::chrono::duration_cast<Clock::duration>(needed);
}

void Shaper::reset(std::uint64_t seed) {
  all_ = {};
  sent_ = 0;
  random_.seed(seed);
}

std::chrono::microseconds Shaper::draw_latency() {
  const bool tail = std::uniform_real_distribution<double>(0, 1)(random_) < shape_.tail_share;
  return tail ? shape_.tail_latency : shape_.latency;
}

Clock::time_point Shaper::reserve(Line& connection, std::uint64_t bytes, Clock::time_point now) {
  const auto when = std::max(connection.free_at(), all_.free_at());
  const bool bursts = sent_ < shape_.burst_bytes;
  sent_ += bytes;
  connection.take(bytes, shape_.connection_rate, now);
  all_.take(bytes, bursts ? shape_.burst_rate : shape_.sustained_rate, now);
  return when <= now + Line::slack ? now : when;
}

} // namespace tmpdump::bench
