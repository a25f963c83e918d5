// SPDX-License-Identifier: Apache-2.0
// What simulated time and chance are made of.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <queue>
#include <random>
#include <utility>
#include <vector>

namespace tmpdump::herd {

// Events by time; those of one moment in the order in which they were planned.
class Events {
public:
  [[nodiscard]] double now() const { return now_; }
  void at(double time, std::function<void()> act) {
    queue_.push({std::max(time, now_), number_++, std::move(act)});
  }
  void after(double delay, std::function<void()> act) { at(now_ + delay, std::move(act)); }
  void run() {
    while (!queue_.empty()) {
      now_ = queue_.top().time;
      const auto act = queue_.top().act;
      queue_.pop();
      act();
    }
  }

private:
  struct Event {
    double time;
    std::uint64_t number;
    std::function<void()> act;
    bool operator<(const Event& other) const {
      return std::pair(time, number) > std::pair(other.time, other.number); // the queue's top is the largest
    }
  };
  std::priority_queue<Event> queue_;
  double now_ = 0;
  std::uint64_t number_ = 0;
};

// The same numbers everywhere: the standard fixes the engine, but not its distributions.
class Chance {
public:
  Chance(std::uint64_t seed, std::uint64_t stream) : engine_(seed * 0x9E3779B97F4A7C15U + stream) {}
  double unit() { return static_cast<double>(engine_() >> 11U) * 0x1p-53; } // [0, 1)
  std::uint64_t below(std::uint64_t limit) { return engine_() % limit; }

private:
  std::mt19937_64 engine_;
};

// A token bucket.
class Throttle {
public:
  Throttle(double rate, double depth) : rate_(rate), depth_(depth), tokens_(depth) {}
  bool admits(double now) {
    tokens_ = std::min(depth_, tokens_ + (now - last_) * rate_);
    last_ = now;
    if (tokens_ < 1) return false;
    tokens_ -= 1;
    admitted.push_back(now);
    return true;
  }
  std::vector<double> admitted;

private:
  double rate_, depth_, tokens_, last_ = 0;
};

} // namespace tmpdump::herd
