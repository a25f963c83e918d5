// SPDX-License-Identifier: Apache-2.0
// When bytes may leave: the rates of a link, as reservations of time. Pure: the caller brings the clock.
#pragma once

#include <chrono>
#include <cstdint>
#include <random>

namespace tmpdump::bench {

using Clock = std::chrono::steady_clock;

// Bytes a second are of 10^6; 0: no limit.
struct Shape {
  double connection_rate = 0; // each connection
  double burst_rate = 0;      // all of them, for the first `burst_bytes`
  std::uint64_t burst_bytes = 0;
  double sustained_rate = 0; // all of them, after that
  // From the end of a request to the first byte of its answer, if the server was not slower.
  std::chrono::microseconds latency{0}, tail_latency{0};
  double tail_share = 0; // of all answers
};

// One reservation after another: a line that is this far ahead of the clock is busy until then.
class Line {
public:
  // Bytes that are late by less than this go at once, and what was not used in that time is lost: the
  // kernel's timers are about this exact.
  static constexpr std::chrono::microseconds slack{1000};

  // From when on the next bytes may go.
  [[nodiscard]] Clock::time_point free_at() const { return next_; }
  void take(std::uint64_t bytes, double rate, Clock::time_point now);

private:
  Clock::time_point next_{};
};

// Of the whole link. Each connection has a Line of its own beside it.
class Shaper {
public:
  explicit Shaper(const Shape& shape) : shape_(shape) {}

  // A run begins: the burst is whole again, the same latencies come in the same order.
  void reset(std::uint64_t seed);
  // How long an answer's first byte takes.
  std::chrono::microseconds draw_latency();
  // Reserves the time of `bytes` on both; they may leave at the time returned.
  Clock::time_point reserve(Line& connection, std::uint64_t bytes, Clock::time_point now);

private:
  Shape shape_;
  Line all_;
  std::uint64_t sent_ = 0; // since reset()
  std::mt19937_64 random_;
};

} // namespace tmpdump::bench
