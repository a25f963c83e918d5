// SPDX-License-Identifier: Apache-2.0
#include "cli/progress_bar.h"
#include "cli/status_json.h"
#include "cli/status_text.h"
#include "cli/wait_command.h"
#include "support/catch.h"

#include <boost/json/parse.hpp>

#include <algorithm>
#include <climits>
#include <cmath>
#include <tmpdump.h>

using namespace tmpdump;
using namespace tmpdump::cli;

namespace {

constexpr std::uint64_t ms = 1'000'000;

Snapshot listed() {
  Snapshot snapshot;
  snapshot.destination = "/tmp";
  snapshot.status.state = TMPDUMP_STATE_LISTED;
  snapshot.status.alive = true;
  snapshot.status.pid = 12;
  snapshot.status.generation = 3;
  snapshot.status.started_ns = 1000 * ms;
  snapshot.status.listed_ns = 1024 * ms;
  snapshot.status.uri = "s3://b/k";
  return snapshot;
}

manifest::EntryStatus& add(Snapshot& snapshot, const std::string& path, std::uint64_t published_ms = 0,
                           std::uint64_t waited_ms = 0) {
  manifest::EntryStatus entry;
  entry.listed = {.path = path, .kind = zip::Kind::file, .mode = 0644, .size = 315'200'000, .crc = 0};
  if (published_ms != 0) {
    entry.state = TMPDUMP_ENTRY_PUBLISHED;
    entry.published_ns = snapshot.status.started_ns + published_ms * ms;
  }
  if (waited_ms != 0) entry.first_wait_ns = snapshot.status.started_ns + waited_ms * ms;
  snapshot.entries.push_back(entry);
  return snapshot.entries.back();
}

std::size_t count_lines(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

// Paths in the order of the lines that end in them.
std::string order_of(const std::string& text) {
  std::string order;
  for (std::size_t at = text.find("\n\n") + 1; at + 1 < text.size();) {
    const std::size_t end = text.find('\n', at + 1);
    order += text[end - 1];
    at = end;
  }
  return order;
}

} // namespace

TEST_CASE("The table's columns stay under their headings") {
  Snapshot snapshot = listed();
  add(snapshot, "a", 812, 30);
  add(snapshot, "lib/b");
  add(snapshot, "lib").listed.kind = zip::Kind::directory;
  add(snapshot, "link").listed.kind = zip::Kind::symlink;
  const std::string text = render_status(snapshot);
  CHECK(text.substr(text.find("\n\n") + 2) == "state           size  published at  first wait at  path\n"
                                              "published   315.2 MB      812.0 ms        30.0 ms  a\n"
                                              "pending     315.2 MB             -              -  lib/b\n"
                                              "pending            -             -              -  lib/\n"
                                              "pending            -             -              -  link@\n");
}

TEST_CASE("The summary tells life from death") {
  Snapshot snapshot = listed();
  CHECK(render_summary(snapshot).starts_with("state       listed (daemon is alive, pid 12)\n"));
  CHECK_FALSE(has_ended(snapshot.status));
  snapshot.status.alive = false;
  CHECK(render_summary(snapshot).starts_with("state       listed (the daemon died)\n"));
  CHECK(has_ended(snapshot.status));
  CHECK(verdict("/tmp", snapshot.status).error().code == Errc::io);
  snapshot.status.state = TMPDUMP_STATE_READY;
  CHECK(render_summary(snapshot).starts_with("state       ready (daemon has ended, pid 12)\n"));
  CHECK(verdict("/tmp", snapshot.status).has_value());
}

TEST_CASE("A failure stands in the summary, in JSON, and gives the verdict") {
  Snapshot snapshot = listed();
  snapshot.status.state = TMPDUMP_STATE_FAILED;
  snapshot.status.failure = Failure{Errc::denied, "403 of 's3://b/k'"};
  CHECK(render_summary(snapshot).find("\nfailure     AccessDenied: 403 of 's3://b/k'\n") !=
        std::string::npos);
  const auto verdict = cli::verdict("/tmp", snapshot.status);
  CHECK(verdict.error().code == Errc::denied);
  CHECK(verdict.error().message == "tmpdump gave up on '/tmp': 403 of 's3://b/k'");
  CHECK(boost::json::parse(render_json(snapshot)).at("failure").at("exit_status") == 5);
}

TEST_CASE("Times count from the start, also when they lie before it") {
  const Snapshot snapshot = listed();
  CHECK(format_since(snapshot.status, 0) == "-");
  CHECK(format_since(snapshot.status, 1024 * ms + 40'000) == "24.0 ms");
  CHECK(format_since(snapshot.status, 990 * ms) == "-10.0 ms");
  CHECK_FALSE(format_since(snapshot.status, UINT64_MAX).empty());
}

TEST_CASE("The live view shows first who is waited for, then who came last, and never more than its rows") {
  Snapshot snapshot = listed();
  add(snapshot, "a", 10);
  add(snapshot, "b", 30);
  add(snapshot, "c", 20, 5);
  add(snapshot, "d");
  add(snapshot, "e", 0, 40);
  CHECK(order_of(render_live(snapshot, 100)).substr(1) == "ebcad"); // behind the heading's last letter
  const std::size_t summary = count_lines(render_summary(snapshot));
  for (unsigned rows = 0; rows < 40; ++rows) {
    const std::string text = render_live(snapshot, rows);
    CHECK(count_lines(text) <= rows);
    if (!text.empty()) CHECK(text.back() == '\n');
  }
  CHECK(order_of(render_live(snapshot, static_cast<unsigned>(summary) + 4)).substr(1) == "eb");
}

TEST_CASE("Names cannot forge lines or move the cursor") {
  Snapshot snapshot = listed();
  const std::string evil = "a\n\x1b[2J\x7f\xc2\x9b\xff\u202e";
  add(snapshot, evil, 10);
  snapshot.destination = snapshot.status.uri = snapshot.status.etag = evil;
  const auto is_quiet = [](const std::string& text) {
    return text.find_first_of("\x1b\x7f\xc2\xff\xe2") == std::string::npos;
  };
  const std::string table = render_status(snapshot);
  CHECK(is_quiet(table));
  CHECK(count_lines(table) == count_lines(render_summary(snapshot)) + 3);
  CHECK(is_quiet(render_live(snapshot, 100)));
  CHECK(is_quiet(render_arrival(snapshot.status, snapshot.entries[0])));
  const std::string json = render_json(snapshot);
  CHECK(is_quiet(json));
  CHECK(boost::json::parse(json).at("entries").at(0).at("path_escaped") == true);
}

TEST_CASE("JSON keeps exact what it can") {
  Snapshot snapshot = listed();
  snapshot.status.etag = "\"e1\"";
  snapshot.status.counters[TMPDUMP_COUNTER_BYTES_RECEIVED] = UINT64_MAX;
  add(snapshot, "quote\" back\\slash\n", 10).needed = {1, 7};
  add(snapshot, "b", 20).needs_everything = true;
  const auto json = boost::json::parse(render_json(snapshot));
  CHECK(json.at("etag") == "\"e1\"");
  CHECK(json.at("listed_after_ns") == 24 * ms);
  CHECK(json.at("finished_after_ns").is_null());
  CHECK(json.at("counters").at("bytes_received") == UINT64_MAX);
  const auto& first = json.at("entries").at(0);
  CHECK(first.at("path") == "quote\" back\\slash\n");
  CHECK_FALSE(first.as_object().contains("path_escaped"));
  CHECK(first.at("needs") == boost::json::array{"b"}); // there is no entry 7
  CHECK(json.at("entries").at(1).at("needs") == "everything");
}

TEST_CASE("Progress: what has come, of what, how quick, and how long it will last") {
  const ProgressView half{50'000'000, 100'000'000, 3, 8, 2};
  CHECK(render_progress(half, 200) ==
        "[###############...............]  50% 50.0 MB of 100.0 MB  3/8 files  25.0 MB/s  ETA 2.00 s");
  const ProgressView all{100'000'000, 100'000'000, 8, 8, 4};
  CHECK(render_progress(all, 200) ==
        "[##############################] 100% 100.0 MB of 100.0 MB  8/8 files  25.0 MB/s");
}

TEST_CASE("Progress before the archive's size is known has no bar") {
  CHECK(render_progress({}, 80) == "0 B  0 B/s");
  CHECK(render_progress({4'000'000, 0, 0, 0, 2}, 80) == "4.0 MB  2.0 MB/s");
  // Nothing has come yet: no rate, so that nobody can say how long.
  CHECK(render_progress({0, 1'000, 0, 1, 1}, 80) ==
        "[..............................]   0% 0 B of 1.0 kB  0/1 files  0 B/s");
}

TEST_CASE("Progress never says more than all of it") {
  // What was asked for before the directory was known may be more than what is wanted.
  const std::string text = render_progress({3'000, 1'000, 1, 1, 1}, 80);
  CHECK(text.starts_with("[##############################] 100% 3.0 kB of 1.0 kB"));
  CHECK(text.find("ETA") == std::string::npos);
}

TEST_CASE("Progress fits its line at every width") {
  const ProgressView half{50'000'000, 100'000'000, 3, 8, 2};
  const std::string words = "50.0 MB of 100.0 MB  3/8 files  25.0 MB/s  ETA 2.00 s";
  for (unsigned width = 0; width < 120; ++width) {
    CAPTURE(width);
    const std::string text = render_progress(half, width);
    CHECK(text.size() <= width);
    if (text.starts_with("[")) {
      CHECK(text.ends_with(words));
    } else {
      CHECK(text == words.substr(0, width)); // too narrow for a bar: the words alone
    }
  }
}

TEST_CASE("A time limit in seconds is one in milliseconds, rounded up") {
  CHECK(to_milliseconds(0) == 0);
  CHECK(to_milliseconds(0.0001) == 1);
  CHECK(to_milliseconds(1.5) == 1500);
  CHECK(to_milliseconds(1e300) == INT_MAX);
  CHECK(to_milliseconds(INFINITY) == INT_MAX);
  CHECK_FALSE(to_milliseconds(-0.5));
  CHECK_FALSE(to_milliseconds(NAN));
}

TEST_CASE("Each code of the client library is one of ours") {
  const std::string path = "/tmp/no.so";
  const auto code_of = [&](int code) { return explain_wait(code, &path, "/tmp", 1).code; };
  CHECK(code_of(TMPDUMP_NOT_IN_ARCHIVE) == Errc::not_found);
  CHECK(code_of(TMPDUMP_TIMEOUT) == Errc::timeout);
  CHECK(code_of(TMPDUMP_NO_DAEMON) == Errc::not_found);
  CHECK(code_of(TMPDUMP_DAEMON_DIED) == Errc::io);
  CHECK(code_of(TMPDUMP_BAD_MANIFEST) == Errc::io);
  CHECK(code_of(TMPDUMP_UNTRUSTED) == Errc::denied);
  CHECK(code_of(TMPDUMP_VERSION) == Errc::io);
  CHECK(code_of(TMPDUMP_INVALID) == Errc::usage);
  CHECK(explain_wait(TMPDUMP_TIMEOUT, nullptr, "/tmp", 0.5).message ==
        "the archive was not ready at '/tmp' within 0.5 s: `tmpdump status` shows what is missing");
  const std::string outside = "/tmpfile";
  CHECK(explain_wait(TMPDUMP_NOT_IN_ARCHIVE, &outside, "/tmp", 0).message ==
        "'/tmpfile' is not below '/tmp': name a file of the archive there");
}
