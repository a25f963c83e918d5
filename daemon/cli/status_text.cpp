// SPDX-License-Identifier: Apache-2.0
#include "cli/status_text.h"

#include "cli/size.h"

#include <algorithm>
#include <cstdio>
#include <ctime>

namespace tmpdump::cli {

namespace {

using manifest::EntryStatus;
using manifest::Status;

constexpr std::string_view entry_header = "state           size  published at  first wait at  path\n";

std::string line(const char* label, const std::string& value) {
  char buffer[16];
  (void)std::snprintf(buffer, sizeof buffer, "%-12s", label);
  return buffer + value + "\n";
}

std::string utc(std::uint64_t unix_ns) {
  const auto seconds = static_cast<std::time_t>(unix_ns / 1'000'000'000U);
  std::tm parts{};
  char buffer[40];
  if (::gmtime_r(&seconds, &parts) == nullptr ||
      std::strftime(buffer, sizeof buffer, "%Y-%m-%d %H:%M:%S UTC", &parts) == 0) {
    return "-";
  }
  return buffer;
}

std::string life(const Status& status) {
  if (has_died(status)) return "the daemon died";
  return (status.alive ? "daemon is alive, pid " : "daemon has ended, pid ") + std::to_string(status.pid);
}

std::string amount(std::uint64_t count, const char* one, const char* many) {
  return std::to_string(count) + " " + (count == 1 ? one : many);
}

std::string path_of(const EntryStatus& entry) {
  const char* const mark = entry.listed.kind == zip::Kind::directory ? "/"
                           : entry.listed.kind == zip::Kind::symlink ? "@"
                                                                     : "";
  return printable(entry.listed.path, entry.listed.path.size()) + mark;
}

std::string size_of(const EntryStatus& entry) {
  return entry.listed.kind == zip::Kind::file ? format_size(entry.listed.size) : "-";
}

std::string entry_line(const Status& status, const EntryStatus& entry) {
  char columns[128];
  (void)std::snprintf(columns, sizeof columns, "%-10s %9s %13s %14s  ", name(entry.state).data(),
                      size_of(entry).c_str(), format_since(status, entry.published_ns).c_str(),
                      format_since(status, entry.first_wait_ns).c_str());
  return columns + path_of(entry) + "\n";
}

// Waited for and not there, then the latest first, then the rest in the archive's order.
bool more_interesting(const EntryStatus& left, const EntryStatus& right) {
  const auto is_waited_for = [](const EntryStatus& entry) {
    return entry.state == TMPDUMP_ENTRY_PENDING && entry.first_wait_ns != 0;
  };
  if (is_waited_for(left) != is_waited_for(right)) return is_waited_for(left);
  return left.published_ns > right.published_ns;
}

} // namespace

std::string_view name(tmpdump_manifest_state state) {
  switch (state) {
  case TMPDUMP_STATE_STARTING:
    return "starting";
  case TMPDUMP_STATE_LISTED:
    return "listed";
  case TMPDUMP_STATE_READY:
    return "ready";
  case TMPDUMP_STATE_FAILED:
    return "failed";
  case TMPDUMP_STATE_SUPERSEDED:
    return "superseded";
  }
  return "unknown";
}

std::string_view name(tmpdump_manifest_entry_state state) {
  switch (state) {
  case TMPDUMP_ENTRY_PENDING:
    return "pending";
  case TMPDUMP_ENTRY_PUBLISHED:
    return "published";
  case TMPDUMP_ENTRY_FAILED:
    return "failed";
  case TMPDUMP_ENTRY_SUPERSEDED:
    return "superseded";
  }
  return "unknown";
}

std::string format_since(const Status& status, std::uint64_t at_ns) {
  if (at_ns == 0) return "-";
  // Signed: after a restore from a snapshot, or in a forged manifest, it may lie before the start.
  const double milliseconds = static_cast<double>(static_cast<std::int64_t>(at_ns - status.started_ns)) / 1e6;
  char buffer[48];
  (void)std::snprintf(buffer, sizeof buffer, "%.1f ms", milliseconds);
  return buffer;
}

std::string render_summary(const Snapshot& snapshot) {
  const Status& status = snapshot.status;
  const auto* const counters = status.counters;
  std::string text = line("state", std::string(name(status.state)) + " (" + life(status) + ")");
  if (status.failure) {
    text +=
        line("failure", std::string(tmpdump::name(status.failure->code)) + ": " + status.failure->message);
  }
  text += line("destination", printable(snapshot.destination, snapshot.destination.size()));
  text += line("source", printable(status.uri, status.uri.size()));
  text += line("etag", status.etag.empty() ? "-" : printable(status.etag, status.etag.size()));
  text += line("started", utc(status.created_unix_ns) + ", generation " + std::to_string(status.generation));
  text += line("listed", format_since(status, status.listed_ns));
  text += line("finished", format_since(status, status.finished_ns));
  text += line("first wait", format_since(status, status.first_wait_ns) +
                                 (status.first_wait_ns == 0 ? "" : ", for everything"));
  text += line("entries", std::to_string(counters[TMPDUMP_COUNTER_FILES_PUBLISHED]) + " of " +
                              std::to_string(counters[TMPDUMP_COUNTER_FILES_TOTAL]) + " published, " +
                              std::to_string(counters[TMPDUMP_COUNTER_FILES_KEPT]) + " kept from before");
  text += line("unpacked", format_size(counters[TMPDUMP_COUNTER_BYTES_PUBLISHED]) + " of " +
                               format_size(counters[TMPDUMP_COUNTER_BYTES_TOTAL]));
  text += line("received", format_size(counters[TMPDUMP_COUNTER_BYTES_RECEIVED]) + ", " +
                               amount(counters[TMPDUMP_COUNTER_REQUESTS], "request", "requests") + ", " +
                               amount(counters[TMPDUMP_COUNTER_RETRIES], "retry", "retries") + ", " +
                               amount(counters[TMPDUMP_COUNTER_HEDGES], "hedge", "hedges"));
  return text;
}

std::string render_status(const Snapshot& snapshot) {
  std::string text = render_summary(snapshot);
  if (snapshot.entries.empty()) return text;
  text.append("\n").append(entry_header);
  for (const EntryStatus& entry : snapshot.entries)
    text += entry_line(snapshot.status, entry);
  return text;
}

std::string render_live(const Snapshot& snapshot, unsigned rows) {
  std::string text = render_summary(snapshot);
  const auto used = static_cast<unsigned>(std::count(text.begin(), text.end(), '\n'));
  if (used > rows) { // the first ones say most
    std::size_t end = 0;
    for (unsigned i = 0; i < rows; ++i)
      end = text.find('\n', end) + 1;
    return text.substr(0, end);
  }
  if (snapshot.entries.empty() || rows - used < 3) return text;
  std::vector<const EntryStatus*> order;
  order.reserve(snapshot.entries.size());
  for (const EntryStatus& entry : snapshot.entries)
    order.push_back(&entry);
  const std::size_t shown = std::min<std::size_t>(order.size(), rows - used - 2);
  std::stable_sort(order.begin(), order.end(),
                   [](const auto* left, const auto* right) { return more_interesting(*left, *right); });
  order.resize(shown);
  text.append("\n").append(entry_header);
  for (const EntryStatus* entry : order)
    text += entry_line(snapshot.status, *entry);
  return text;
}

std::string render_arrival(const Status& status, const EntryStatus& entry) {
  char columns[96];
  (void)std::snprintf(columns, sizeof columns, "%12s %9s  ", format_since(status, entry.published_ns).c_str(),
                      size_of(entry).c_str());
  return columns + path_of(entry) + "\n";
}

} // namespace tmpdump::cli
