// SPDX-License-Identifier: Apache-2.0
// How much one run may take: bytes and entries, as the command line limits them, requests, threads.
#include "support/pipeline.h"

#include <sched.h>
#include <set>

using namespace tmpdump;
using namespace tmpdump::test;

namespace {

Archive small() {
  Archive archive;
  archive.directory("lib").file("lib/a.so", prose(100'000)).file("lib/x", "x").symlink("lib/b.so", "a.so");
  return archive;
}

// This thread, and those that it starts meanwhile, may run on the first of their cores alone.
class OnOneCore {
public:
  OnOneCore() {
    REQUIRE(::sched_getaffinity(0, sizeof before_, &before_) == 0);
    std::size_t core = 0;
    while (!CPU_ISSET(core, &before_))
      ++core;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(core, &one);
    REQUIRE(::sched_setaffinity(0, sizeof one, &one) == 0);
  }
  ~OnOneCore() { ::sched_setaffinity(0, sizeof before_, &before_); }
  OnOneCore(const OnOneCore&) = delete;
  OnOneCore& operator=(const OnOneCore&) = delete;

private:
  cpu_set_t before_{};
};

} // namespace

TEST_CASE("what --max-size counts is bytes unpacked, and it refuses before anything is written") {
  Pipeline pipeline;
  const Archive archive = small();
  pipeline.holds(archive);
  const std::uint64_t unpacked = 100'000 + 1 + 4; // a link's target counts too
  SECTION("just enough") {
    pipeline.overrides.max_size = unpacked;
    REQUIRE(pipeline.fetch());
    CHECK(difference(pipeline.tree(), archive.tree()).empty());
  }
  SECTION("one byte too small") {
    pipeline.overrides.max_size = unpacked - 1;
    const auto outcome = pipeline.fetch();
    REQUIRE_FALSE(outcome);
    CHECK(outcome.error().code == Errc::no_space);
    CHECK(outcome.error().message == "s3://bucket/lib.zip: unpacks to " + std::to_string(unpacked) +
                                         " bytes, more than --max-size " + std::to_string(unpacked - 1));
    CHECK(pipeline.tree().empty());
    CHECK(pipeline.staged().empty());
    CHECK(pipeline.ended_quietly());
  }
  SECTION("what a filter leaves out does not count") {
    pipeline.settings.wanted = [](const zip::Entry& entry) { return entry.path == "lib/x"; };
    pipeline.overrides.max_size = 1;
    REQUIRE(pipeline.fetch());
    CHECK(pipeline.tree().at("lib/x").content == "x");
  }
}

TEST_CASE("what --max-entries counts is all that is listed, and it refuses before anything is written") {
  Pipeline pipeline;
  const Archive archive = small();
  pipeline.holds(archive);
  const std::uint64_t entries = 4;
  SECTION("just enough") {
    pipeline.overrides.max_entries = entries;
    REQUIRE(pipeline.fetch());
    CHECK(difference(pipeline.tree(), archive.tree()).empty());
  }
  SECTION("one too few") {
    pipeline.overrides.max_entries = entries - 1;
    const auto outcome = pipeline.fetch();
    REQUIRE_FALSE(outcome);
    CHECK(outcome.error().code == Errc::bad_archive);
    CHECK(outcome.error().message == "s3://bucket/lib.zip: the archive has " + std::to_string(entries) +
                                         " entries, more than the " + std::to_string(entries - 1) +
                                         " that are allowed");
    CHECK(pipeline.tree().empty());
    CHECK(pipeline.staged().empty());
    CHECK(pipeline.ended_quietly());
  }
}

TEST_CASE("a small archive over connections of the default number costs six requests") {
  Pipeline pipeline;
  const Archive archive = small();
  pipeline.holds(archive);
  const auto outcome = pipeline.fetch();
  REQUIRE(outcome);
  CHECK(difference(pipeline.tree(), archive.tree()).empty());
  // Until the tail has come nobody knows the size, so that the ranges that a large archive wants go out
  // beside it, mostly beyond the end of a small one. They cost five requests; to ask later would cost every
  // large archive a round trip, which is what counts.
  CHECK(outcome->requests == 6);
  REQUIRE(pipeline.s3.wait_for_arrived(6, ample));
  const std::vector<RequestRecord> gets = pipeline.gets();
  CHECK(gets.size() == 6);
  std::set<std::string> expected{"bytes=-131072"};
  for (const auto& slice : fetch::speculative_front())
    expected.insert("bytes=" + std::to_string(slice.offset) + "-" +
                    std::to_string(slice.offset + slice.length - 1));
  std::set<std::string> asked;
  for (const auto& get : gets)
    asked.insert(get.range.value_or(""));
  CHECK(asked == expected);
}

TEST_CASE("unless told, as many decoders as cores that we may run on") {
  Pipeline pipeline;
  Archive archive;
  for (unsigned i = 0; i < 200; ++i)
    archive.file("f" + std::to_string(i), prose(20'000, i));
  pipeline.holds(archive);
  pipeline.settings.decoders = 0;
  const auto rows = [&] {
    std::set<std::string> names;
    const std::string json = pipeline.trace.json();
    const std::string begin = "\"name\":\"decoders ";
    for (auto at = json.find(begin); at != std::string::npos; at = json.find(begin, at + 1))
      names.insert(json.substr(at, json.find('"', at + begin.size()) - at));
    return names.size();
  };
  SECTION("all that there are") {
    REQUIRE(pipeline.fetch());
    CHECK(rows() >= 1);
    CHECK(rows() <= prefetch::available_cores());
  }
  SECTION("one, where the affinity leaves one") {
    const OnOneCore here;
    CHECK(prefetch::available_cores() == 1);
    REQUIRE(pipeline.fetch());
    CHECK(rows() == 1);
  }
  CHECK(difference(pipeline.tree(), archive.tree()).empty());
}
