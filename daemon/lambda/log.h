// SPDX-License-Identifier: Apache-2.0
// Which lines reach the function's log: the one place where TMPDUMP_LOG takes effect.
#pragma once

#include "config/options.h"
#include "lambda/report.h"

#include <functional>
#include <string_view>
#include <utility>

namespace tmpdump::lambda {

// From any thread, if `print` is.
class Log {
public:
  Log(std::function<void(std::string_view)> print, config::LogLevel most)
      : print_(std::move(print)), most_(most) {}

  void say(const Line& line) const {
    if (says(line.level)) print_(line.text);
  }
  // Worth asking before a line is made that most runs do not write.
  [[nodiscard]] bool says(config::LogLevel level) const { return level <= most_; }
  // Whatever the level: metrics.
  void always(std::string_view line) const { print_(line); }

private:
  std::function<void(std::string_view)> print_;
  config::LogLevel most_; // errors are always within
};

} // namespace tmpdump::lambda
