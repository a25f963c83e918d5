// SPDX-License-Identifier: Apache-2.0
// What the extension writes to the function's log: one JSON object a line. Pure.
#pragma once

#include "base/error.h"
#include "config/options.h"
#include "prefetch/prefetch.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace tmpdump::lambda {

struct RunReport {
  std::string_view version;
  std::string uri;                        // without query and credentials
  prefetch::Clock::time_point exec;       // start of the process
  prefetch::Clock::time_point registered; // zero: did not happen
  prefetch::Summary summary;
  std::uint64_t kept = 0;        // files of a predecessor that were still good
  std::uint64_t peak_memory = 0; // bytes
};

// One JSON object, without line end, and the level that it names.
struct Line {
  config::LogLevel level;
  std::string text;
};

// {"level":"info","event":"tmpdump.ready",...}; times in "ms" count from exec.
Line ready_line(const RunReport& report);

// {"level":"error","event":"tmpdump.failed","errorType":"Tmpdump.NotFound","message":"..."}; `tolerated`
// makes it a warning: the function starts without the archive.
Line failure_line(const Failure& failure, bool tolerated);
std::string error_type(const Failure& failure); // "Tmpdump.NotFound"

// {"level":"warn","event":...,"message":...}: what went wrong beside the work, which is done all the same.
Line warning_line(std::string_view event, std::string_view message);

// {"level":"debug","event":...} with one detail.
Line debug_line(std::string_view event, std::string_view detail);

// CloudWatch Embedded Metric Format: a line from which CloudWatch makes metrics in the namespace "tmpdump".
// It has no level: a variable of its own asks for it.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
std::string metrics_line(const RunReport& report, std::string_view function_name, std::int64_t unix_ms);

} // namespace tmpdump::lambda
