// SPDX-License-Identifier: Apache-2.0
// A recording of one run in Chrome's trace-event format (opens in Perfetto and chrome://tracing).
#pragma once

#include "base/error.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tmpdump {

// Thread-safe. Everything that records takes a Trace*, null when nobody asked for a trace.
class Trace {
public:
  using Clock = std::chrono::steady_clock;
  using Arguments = std::vector<std::pair<std::string, std::string>>; // no secrets: they end up in a file

  using Listener = std::function<void(std::string_view group, unsigned row, std::string_view event_name,
                                      const Arguments& arguments)>;

  // `listener` hears of every instant, in the thread that records it. Without `keep` nothing is recorded: for
  // who wants to hear alone. Before anything is recorded.
  void listen(Listener listener, bool keep);
  // A group of rows ("connections", "decoders", "files"); a row is a number within it.
  void complete(std::string_view group, unsigned row, std::string_view event_name, Clock::time_point begin,
                Clock::time_point end, Arguments arguments = {});
  void instant(std::string_view group, unsigned row, std::string_view event_name, Clock::time_point at,
               Arguments arguments = {});
  // {"traceEvents": [...]}; times in microseconds since the earliest event.
  [[nodiscard]] std::string json() const;
  [[nodiscard]] result<void> write(const std::string& file) const;

private:
  struct Event {
    std::string group, event_name;
    unsigned row = 0;
    Clock::time_point begin, end;
    bool is_instant = false;
    Arguments arguments;
  };
  void record(Event event);
  Listener listener_;
  bool keep_ = true;
  mutable std::mutex mutex_;
  std::vector<Event> events_; // guarded by mutex_
};

} // namespace tmpdump
