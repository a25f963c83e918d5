// SPDX-License-Identifier: Apache-2.0
// Format: "Trace Event Format", the JSON object form. A group is shown as a process, a row as a thread of it:
// the metadata events ("ph":"M") give both their names.
#include "base/trace.h"

#include "base/unique_fd.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>
#include <boost/json/value.hpp>

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <map>
#include <set>
#include <unistd.h>

namespace tmpdump {
namespace {

namespace json = boost::json;

// JSON is UTF-8, and Boost.JSON writes bytes as they are; names from an archive may be anything.
json::string json_text(std::string_view text) {
  json::string plain(text);
  boost::system::error_code not_utf8;
  json::parse(json::serialize(plain), not_utf8);
  return not_utf8 ? json::string(printable(text, text.size())) : plain;
}

std::int64_t microseconds(Trace::Clock::duration time) {
  return std::chrono::floor<std::chrono::microseconds>(time).count();
}

// Viewers take thread 0 and a thread numbered like its process for special ones: no row is either.
std::int64_t thread_id(int process, unsigned row) {
  return std::int64_t{process} * 1'000'000 + row;
}

json::object metadata(std::string_view kind, int process, std::int64_t thread, json::object arguments) {
  return {{"ph", "M"},
          {"name", json::string(kind)},
          {"pid", process},
          {"tid", thread},
          {"args", std::move(arguments)}};
}

} // namespace

void Trace::listen(Listener listener, bool keep) {
  listener_ = std::move(listener);
  keep_ = keep;
}

void Trace::record(Event event) {
  if (!keep_) return;
  const std::lock_guard lock(mutex_);
  events_.push_back(std::move(event));
}

void Trace::complete(std::string_view group, unsigned row, std::string_view event_name,
                     Clock::time_point begin, Clock::time_point end, Arguments arguments) {
  record({std::string(group), std::string(event_name), row, begin, std::max(begin, end), false,
          std::move(arguments)});
}

void Trace::instant(std::string_view group, unsigned row, std::string_view event_name, Clock::time_point at,
                    Arguments arguments) {
  if (listener_) listener_(group, row, event_name, arguments);
  record({std::string(group), std::string(event_name), row, at, at, true, std::move(arguments)});
}

std::string Trace::json() const {
  const std::lock_guard lock(mutex_);
  auto origin = Clock::time_point::max();
  std::map<std::string_view, int> processes; // group -> pid, from 1 in order of first appearance
  std::set<std::pair<int, unsigned>> threads;
  json::array out;
  for (const Event& event : events_) {
    origin = std::min(origin, event.begin);
    const auto [process, new_group] =
        processes.try_emplace(event.group, static_cast<int>(processes.size() + 1));
    const int pid = process->second;
    const json::string group = json_text(event.group);
    if (new_group) {
      out.push_back(metadata("process_name", pid, 0, {{"name", group}}));
      out.push_back(metadata("process_sort_index", pid, 0, {{"sort_index", pid}}));
    }
    if (threads.emplace(pid, event.row).second) {
      const std::string row = std::string(group).append(" ").append(std::to_string(event.row));
      out.push_back(metadata("thread_name", pid, thread_id(pid, event.row), {{"name", row}}));
      out.push_back(
          metadata("thread_sort_index", pid, thread_id(pid, event.row), {{"sort_index", event.row}}));
    }
  }
  for (const Event& event : events_) {
    // Both ends are rounded down, so that events that touch do not overlap by a microsecond.
    const int pid = processes.at(event.group);
    const std::int64_t begin = microseconds(event.begin - origin);
    json::object object{{"ph", event.is_instant ? "i" : "X"}, {"name", json_text(event.event_name)},
                        {"cat", json_text(event.group)},      {"pid", pid},
                        {"tid", thread_id(pid, event.row)},   {"ts", begin}};
    if (event.is_instant) {
      object["s"] = "t"; // an arrow on its own row only
    } else {
      object["dur"] = microseconds(event.end - origin) - begin;
    }
    if (!event.arguments.empty()) {
      json::object& arguments = object["args"].emplace_object();
      for (const auto& [key, value] : event.arguments)
        arguments[json_text(key)] = json_text(value);
    }
    out.push_back(std::move(object));
  }
  return json::serialize(json::object{{"traceEvents", std::move(out)}});
}

result<void> Trace::write(const std::string& file) const {
  const std::string text = json();
  const auto failed = [&](int error_number) {
    return system_failure("write trace '" + printable(file) + "'", error_number);
  };
  const UniqueFd fd = open_at(AT_FDCWD, file.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (!fd) return failed(errno);
  for (std::string_view rest = text; !rest.empty();) {
    const ssize_t written = ::write(fd.get(), rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return failed(errno);
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

} // namespace tmpdump
