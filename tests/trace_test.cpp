// SPDX-License-Identifier: Apache-2.0
#include "base/trace.h"
#include "support/catch.h"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <thread>
#include <unistd.h>

using namespace tmpdump;
using namespace std::chrono_literals;
namespace json = boost::json;

namespace {

const Trace::Clock::time_point noon{1000h};

json::array events_of(const Trace& trace) {
  return json::parse(trace.json()).as_object().at("traceEvents").as_array();
}

// The events that are not metadata, in order.
json::array recorded(const Trace& trace) {
  json::array out;
  for (const auto& event : events_of(trace))
    if (event.at("ph").as_string() != "M") out.push_back(event);
  return out;
}

std::string name_of(const json::array& events, std::string_view kind, std::int64_t pid, std::int64_t tid) {
  for (const auto& event : events)
    if (event.at("ph").as_string() == "M" && event.at("name").as_string() == std::string(kind) &&
        event.at("pid").as_int64() == pid && event.at("tid").as_int64() == tid)
      return std::string(event.at("args").at("name").as_string());
  return "(none)";
}

// A directory that goes away with the test.
class TemporaryDirectory {
public:
  TemporaryDirectory() {
    if (::mkdtemp(path_.data()) == nullptr) FAIL("mkdtemp");
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() {
    (void)::unlink(file("trace.json").c_str());
    (void)::rmdir(path_.c_str());
  }
  [[nodiscard]] std::string file(const std::string& name) const { return path_ + "/" + name; }

private:
  std::string path_ = "/tmp/trace_test.XXXXXX";
};

} // namespace

TEST_CASE("a listener hears of instants as they happen", "[trace]") {
  for (const bool keep : {true, false}) {
    Trace trace;
    std::string heard;
    trace.listen(
        [&](std::string_view group, unsigned row, std::string_view event_name,
            const Trace::Arguments& arguments) {
          heard.append(group).append(std::to_string(row)).append(event_name).append(arguments.at(0).second);
        },
        keep);
    trace.complete("connections", 1, "connect", noon, noon + 1ms);
    trace.instant("ranges", 7, "retry", noon, {{"position", "12"}});
    CHECK(heard == "ranges7retry12");
    CHECK(recorded(trace).size() == (keep ? 2 : 0));
  }
}

TEST_CASE("an empty trace is a valid document") {
  CHECK(Trace().json() == R"({"traceEvents":[]})");
}

TEST_CASE("times count in microseconds from the earliest event, whatever was recorded first") {
  Trace trace;
  trace.complete("connections", 0, "GET", noon + 5ms, noon + 7ms + 900ns);
  trace.complete("connections", 0, "connect", noon, noon + 5ms);
  const json::array events = recorded(trace);
  REQUIRE(events.size() == 2);
  CHECK(events[0].at("ph").as_string() == "X");
  CHECK(events[0].at("ts").as_int64() == 5000);
  CHECK(events[0].at("dur").as_int64() == 2000);
  CHECK(events[1].at("ts").as_int64() == 0);
  CHECK(events[1].at("dur").as_int64() == 5000);
}

TEST_CASE("events that touch do not overlap after rounding") {
  Trace trace;
  trace.complete("a", 0, "origin", noon, noon);
  trace.complete("a", 0, "first", noon + 600ns, noon + 1700ns);
  trace.complete("a", 0, "second", noon + 1700ns, noon + 2600ns);
  const json::array events = recorded(trace);
  CHECK(events[1].at("ts").as_int64() + events[1].at("dur").as_int64() == events[2].at("ts").as_int64());
}

TEST_CASE("an event that ends before it begins lasts no time") {
  Trace trace;
  trace.complete("a", 0, "restored from a snapshot", noon, noon - 1h);
  CHECK(recorded(trace)[0].at("dur").as_int64() == 0);
  CHECK(recorded(trace)[0].at("ts").as_int64() == 0);
}

TEST_CASE("groups and rows carry their names, each once") {
  Trace trace;
  trace.complete("connections", 3, "GET", noon, noon + 1ms);
  trace.complete("decoders", 0, "inflate", noon, noon + 1ms);
  trace.instant("connections", 3, "hedged", noon);
  const json::array events = events_of(trace);
  const json::array own = recorded(trace);
  CHECK(name_of(events, "process_name", 1, 0) == "connections");
  CHECK(name_of(events, "process_name", 2, 0) == "decoders");
  CHECK(name_of(events, "thread_name", 1, own[0].at("tid").as_int64()) == "connections 3");
  CHECK(name_of(events, "thread_name", 2, own[1].at("tid").as_int64()) == "decoders 0");
  std::map<std::string, int> kinds;
  for (const auto& event : events)
    ++kinds[std::string(event.at("ph").as_string() == "M" ? event.at("name").as_string() : "event")];
  CHECK(kinds == std::map<std::string, int>{{"process_name", 2},
                                            {"process_sort_index", 2},
                                            {"thread_name", 2},
                                            {"thread_sort_index", 2},
                                            {"event", 3}});
  CHECK(own[0].at("pid").as_int64() == own[2].at("pid").as_int64());
  CHECK(own[2].at("ph").as_string() == "i");
  CHECK(own[2].at("s").as_string() == "t");
}

TEST_CASE("hostile names and values stay inside their string") {
  Trace trace;
  const std::string name = "\"},{\"x\":\n\x01\\";
  trace.complete("files", 0, name, noon, noon, {{"name", "gr\xc3\xbc\xc3\x9f"}, {"raw", "\xff\xed\xa0\x80"}});
  const json::array events = recorded(trace);
  REQUIRE(events.size() == 1);
  CHECK(events[0].at("name").as_string() == name);
  CHECK(events[0].at("args").at("name").as_string() == "gr\xc3\xbc\xc3\x9f");
  CHECK(events[0].at("args").at("raw").as_string() == "\\xff\\xed\\xa0\\x80");
}

TEST_CASE("threads record into one trace") {
  Trace trace;
  std::vector<std::thread> threads;
  for (unsigned row = 0; row < 4; ++row)
    threads.emplace_back([&trace, row] {
      for (int i = 0; i < 100; ++i)
        trace.complete("decoders", row, "inflate", noon, noon + 1us);
    });
  for (auto& thread : threads)
    thread.join();
  CHECK(recorded(trace).size() == 400);
}

TEST_CASE("a written trace is the document, and an older longer file does not shine through") {
  const TemporaryDirectory directory;
  const std::string file = directory.file("trace.json");
  std::ofstream(file) << std::string(10'000, 'x');
  Trace trace;
  trace.instant("a", 0, "b", noon);
  REQUIRE(trace.write(file).has_value());
  std::ifstream in(file);
  CHECK(std::string(std::istreambuf_iterator<char>(in), {}) == trace.json());
}

TEST_CASE("a trace that cannot be written says where and why") {
  const auto nowhere = Trace().write("/proc/no\nwhere/trace.json");
  REQUIRE(nowhere.has_error());
  CHECK(nowhere.error().message == "write trace '/proc/no\\x0awhere/trace.json': No such file or directory");
  Trace trace;
  trace.instant("a", 0, "b", noon);
  CHECK(trace.write("/dev/full").error().code == Errc::no_space);
}
