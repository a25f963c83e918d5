// SPDX-License-Identifier: Apache-2.0
#include "lambda/report.h"

#include <boost/json.hpp>

#include <cstdio>
#include <utility>

namespace tmpdump::lambda {

namespace json = boost::json;
using config::LogLevel;
using prefetch::Clock;

namespace {

// Milliseconds from `begin`, to the microsecond; "null" where it did not happen. Text, because Boost.JSON
// writes every double with an exponent, which nobody reads at a glance.
std::string milliseconds(Clock::time_point begin, Clock::time_point at) {
  if (at == Clock::time_point{}) return "null";
  char text[32];
  (void)std::snprintf(text, sizeof text, "%.3f",
                      std::chrono::duration<double, std::milli>(at - begin).count());
  return text;
}

// {"a":1} with a member that is JSON text already.
std::string with_member(const json::object& object, std::string_view key, std::string_view value) {
  std::string text = json::serialize(object);
  text.pop_back();
  return text.append(",\"").append(key).append("\":").append(value).append("}");
}

std::string phases(const RunReport& report) {
  const auto& times = report.summary;
  const std::pair<const char*, Clock::time_point> all[] = {
      {"registered", report.registered}, {"connected", times.connected},
      {"first_byte", times.first_byte},  {"directory", times.directory_known},
      {"first_file", times.first_file},  {"ready", times.ready}};
  std::string text = "{";
  for (const auto& [phase, at] : all) {
    text.append(text.size() > 1 ? ",\"" : "\"")
        .append(phase)
        .append("\":")
        .append(milliseconds(report.exec, at));
  }
  return text + "}";
}

std::string_view name(LogLevel level) {
  switch (level) {
  case LogLevel::error:
    return "error";
  case LogLevel::warn:
    return "warn";
  case LogLevel::info:
    return "info";
  case LogLevel::debug:
    break;
  }
  return "debug";
}

json::object event(LogLevel level, std::string_view event_name) {
  return {{"level", name(level)}, {"event", "tmpdump." + std::string(event_name)}};
}

// Without the quotes that HTTP puts around it.
std::string bare_etag(std::string_view etag) {
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') etag = etag.substr(1, etag.size() - 2);
  return printable(etag);
}

} // namespace

Line ready_line(const RunReport& report) {
  const auto& summary = report.summary;
  auto line = event(LogLevel::info, "ready");
  line["version"] = report.version;
  line["uri"] = report.uri;
  line["etag"] = bare_etag(summary.etag);
  line["bytes"] = summary.received;
  line["unpacked_bytes"] = summary.unpacked;
  line["files"] = summary.files + summary.symlinks;
  line["kept"] = report.kept;
  line["requests"] = summary.requests;
  line["connections"] = summary.connections;
  line["retries"] = summary.retries;
  line["hedges"] = summary.hedges;
  line["peak_memory_bytes"] = report.peak_memory;
  return {LogLevel::info, with_member(line, "ms", phases(report))};
}

std::string error_type(const Failure& failure) {
  return "Tmpdump." + std::string(tmpdump::name(failure.code));
}

Line failure_line(const Failure& failure, bool tolerated) {
  const auto level = tolerated ? LogLevel::warn : LogLevel::error;
  auto line = event(level, tolerated ? "missing" : "failed");
  line["errorType"] = error_type(failure);
  line["message"] = failure.message;
  return {level, json::serialize(line)};
}

Line warning_line(std::string_view event_name, std::string_view message) {
  auto line = event(LogLevel::warn, event_name);
  line["message"] = message;
  return {LogLevel::warn, json::serialize(line)};
}

Line debug_line(std::string_view event_name, std::string_view detail) {
  auto line = event(LogLevel::debug, event_name);
  line["detail"] = detail;
  return {LogLevel::debug, json::serialize(line)};
}

std::string metrics_line(const RunReport& report, std::string_view function_name, std::int64_t unix_ms) {
  json::array metrics;
  const auto metric = [&](std::string_view metric_name, std::string_view unit) {
    metrics.push_back(json::object{{"Name", metric_name}, {"Unit", unit}});
  };
  metric("TimeToReady", "Milliseconds");
  metric("Bytes", "Bytes");
  metric("Requests", "Count");
  metric("Retries", "Count");
  metric("Hedges", "Count");
  metric("PeakMemory", "Bytes");
  const json::object directive{{"Namespace", "tmpdump"},
                               {"Dimensions", json::array{json::array{"FunctionName"}}},
                               {"Metrics", metrics}};
  return with_member(json::object{{"_aws", json::object{{"Timestamp", unix_ms},
                                                        {"CloudWatchMetrics", json::array{directive}}}},
                                  {"FunctionName", function_name},
                                  {"Bytes", report.summary.received},
                                  {"Requests", report.summary.requests},
                                  {"Retries", report.summary.retries},
                                  {"Hedges", report.summary.hedges},
                                  {"PeakMemory", report.peak_memory}},
                     "TimeToReady", milliseconds(report.exec, report.summary.ready));
}

} // namespace tmpdump::lambda
