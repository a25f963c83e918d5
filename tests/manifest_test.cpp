// SPDX-License-Identifier: Apache-2.0
// The daemon's side: what it writes can be read, and what a predecessor left is kept.
#include "manifest/dependencies.h"
#include "manifest/futex.h"
#include "manifest/reader.h"
#include "manifest/writer.h"
#include "support/destination_fixture.h"

#include <atomic>
#include <fstream>
#include <string>
#include <sys/stat.h>
#include <thread>

using namespace tmpdump;
using namespace tmpdump::manifest;
using test::DestinationFixture;
using test::library_that_needs;

namespace {

EntryStatus entry_at(const DestinationFixture& destination, const std::string& name) {
  const auto reader = Reader::open(destination.path()).value();
  return reader.entry(reader.find(name).value()).value();
}

std::vector<std::uint32_t> kept_by_next(const DestinationFixture& destination,
                                        const std::string& etag = "\"e1\"") {
  auto writer = destination.start();
  return writer.set_listing(etag, destination.listing()).value();
}

} // namespace

TEST_CASE("a manifest tells its story from starting to ready") {
  DestinationFixture destination;
  destination.holds("lib/libb.so", library_that_needs({}));
  destination.holds("lib/liba.so", library_that_needs({"libb.so", "libc.so.6"}));
  auto writer = destination.start();
  CHECK(std::filesystem::status(destination.file(".tmpdump")).permissions() == std::filesystem::perms(0700));
  {
    const auto reader = Reader::open(destination.path()).value();
    CHECK(reader.status().state == TMPDUMP_STATE_STARTING);
    CHECK(reader.status().alive);
    CHECK(reader.status().generation == 1);
    CHECK(reader.status().uri == "s3://b/k");
    CHECK(reader.entry_count() == 0);
    CHECK_FALSE(reader.stale());
    CHECK(writer.set_listing("\"e1\"", destination.listing()).value().empty());
    CHECK(reader.stale());
  }
  CHECK(Reader::open(destination.path()).value().status().etag == "\"e1\"");
  CHECK_FALSE(writer.ready().has_value()); // nothing is published yet

  destination.publish(writer, "lib/liba.so");
  CHECK(entry_at(destination, "lib/liba.so").state == TMPDUMP_ENTRY_PUBLISHED);
  CHECK(entry_at(destination, "lib/liba.so").needed ==
        std::vector<std::uint32_t>{destination.index("lib/libb.so")});
  CHECK(entry_at(destination, "lib/libb.so").state == TMPDUMP_ENTRY_PENDING);
  destination.publish(writer, "lib/libb.so");
  writer.count(TMPDUMP_COUNTER_REQUESTS, 3);
  REQUIRE(writer.ready().has_value());

  const Status status = Reader::open(destination.path()).value().status();
  CHECK(status.state == TMPDUMP_STATE_READY);
  CHECK(status.counters[TMPDUMP_COUNTER_FILES_PUBLISHED] == 2);
  CHECK(status.counters[TMPDUMP_COUNTER_BYTES_PUBLISHED] == status.counters[TMPDUMP_COUNTER_BYTES_TOTAL]);
  CHECK(status.counters[TMPDUMP_COUNTER_REQUESTS] == 3);
  CHECK(status.started_ns <= status.listed_ns);
  CHECK(status.listed_ns <= status.finished_ns);
}

TEST_CASE("the first end counts, and a failure keeps its reason on one line") {
  DestinationFixture destination;
  destination.holds("a", "1");
  auto writer = destination.start_listed();
  writer.fail({Errc::bad_archive, "entry 'a': CRC\nforged\u2028line"});
  writer.fail({Errc::io, "second"});
  const Status status = Reader::open(destination.path()).value().status();
  CHECK(status.state == TMPDUMP_STATE_FAILED);
  CHECK(status.failure.value().code == Errc::bad_archive);
  CHECK(status.failure.value().message == "entry 'a': CRC?forged???line");
  CHECK(entry_at(destination, "a").state == TMPDUMP_ENTRY_FAILED);
  destination.publish(writer, "a"); // a decoder that had not heard of it
  CHECK(entry_at(destination, "a").state == TMPDUMP_ENTRY_FAILED);
}

TEST_CASE("a file that is not what was listed cannot be published") {
  DestinationFixture destination;
  destination.holds("a", "1234");
  auto writer = destination.start_listed();
  CHECK_FALSE(writer.publish(0).has_value());
  std::ofstream(destination.file("a")) << "123";
  CHECK_FALSE(writer.publish(0).has_value());
  CHECK_FALSE(writer.publish(1).has_value());
}

TEST_CASE("needed names mean the archive's files") {
  DestinationFixture d;
  d.holds("lib/a.so", "");
  d.holds("lib/b.so", "");
  d.holds("other/b.so", "");
  d.holds("x/c.so", "");
  d.holds("y/c.so", "");
  d.holds_link("lib/b.so.1", "b.so");
  d.holds_link("lib64", "lib");
  const Dependencies dependencies(d.listing());
  const auto library = [&](std::vector<std::string> names) { return dependencies.of_library(0, names); };
  CHECK(library({"b.so", "libc.so.6", "b.so"}) == std::vector<std::uint32_t>{1}); // the one beside wins
  CHECK(library({"c.so"}) == std::vector<std::uint32_t>{3, 4});                   // cannot know: both
  CHECK(library({"b.so.1"}) == std::vector<std::uint32_t>{5});
  CHECK(library({"a.so", ""}).empty());
  CHECK(library({"$ORIGIN/b.so"}) == std::vector<std::uint32_t>{1});

  CHECK(dependencies.of_link(5, "b.so") == std::vector<std::uint32_t>{1});
  CHECK(dependencies.of_link(5, "./../other//b.so") == std::vector<std::uint32_t>{2});
  CHECK(dependencies.of_link(5, "../../out")->empty());
  CHECK(dependencies.of_link(5, "/etc/passwd")->empty());
  CHECK(dependencies.of_link(5, "b.so.1")->empty()); // itself
  CHECK(dependencies.of_link(6, "li")->empty());     // nothing, though "lib" begins so
  CHECK_FALSE(dependencies.of_link(5, "../lib64/b.so").has_value());
  // Directories without an entry, which come to be with any of their files.
  CHECK_FALSE(dependencies.of_link(6, "lib").has_value());
  CHECK_FALSE(dependencies.of_link(5, "..").has_value());
}

TEST_CASE("a library that names one file a thousand times costs no more than the files of that name") {
  DestinationFixture d;
  d.holds("lib/a.so", "");
  for (int i = 0; i < 500; ++i)
    d.holds("d" + std::to_string(i) + "/x.so", "");
  const Dependencies dependencies(d.listing());
  const auto found = dependencies.of_library(0, std::vector<std::string>(1024, "x.so"));
  CHECK(found.size() == 500);
  CHECK(found.capacity() <= 2 * found.size());
}

TEST_CASE("more edges than there is room for mean everything, not fewer") {
  DestinationFixture destination;
  std::vector<std::string> names(40);
  for (std::size_t i = 0; i < names.size(); ++i)
    names[i] = "lib" + std::to_string(i) + ".so";
  for (const std::string& name : names)
    destination.holds(name, library_that_needs(names)); // 40 * 39 edges, room for 1024
  auto writer = destination.start_listed();
  destination.publish_all(writer);
  std::size_t with_list = 0, with_everything = 0;
  for (const std::string& name : names) {
    const EntryStatus entry = entry_at(destination, name);
    CHECK((entry.needs_everything || entry.needed.size() == 39));
    ++(entry.needs_everything ? with_everything : with_list);
  }
  CHECK(with_list == 26);
  CHECK(with_everything == 14);
}

TEST_CASE("a successor keeps what is on disk unchanged, and only that") {
  DestinationFixture destination;
  destination.holds("lib/kept.so", library_that_needs({"touched.so"}));
  destination.holds("lib/touched.so", "1234");
  destination.holds("lib/removed.so", "1234");
  destination.holds("lib/pending.so", "1234");
  destination.holds_link("lib/link.so", "kept.so");
  {
    auto killed = destination.start_listed();
    for (const char* name : {"lib/kept.so", "lib/touched.so", "lib/removed.so", "lib/link.so"})
      destination.publish(killed, name);
    destination.place("lib/pending.so"); // renamed into place, killed before it was published
  }
  std::filesystem::remove(destination.file("lib/touched.so"));
  std::ofstream(destination.file("lib/touched.so")) << "4321"; // same size, somebody else's
  std::filesystem::remove(destination.file("lib/removed.so"));

  SECTION("under the same ETag") {
    const std::vector<std::uint32_t> expected{destination.index("lib/kept.so"),
                                              destination.index("lib/link.so")};
    CHECK(kept_by_next(destination) == expected);
    CHECK(Reader::open(destination.path()).value().status().generation == 2);
    CHECK(entry_at(destination, "lib/kept.so").needed ==
          std::vector<std::uint32_t>{destination.index("lib/touched.so")});
  }
  SECTION("after a kill before the listing was known, twice") {
    for (int i = 0; i < 2; ++i)
      const auto killed = destination.start();
    CHECK(kept_by_next(destination).size() == 2);
    CHECK(kept_by_next(destination).size() == 2); // and what was kept is kept again
  }
  SECTION("not under another ETag, nor without one") {
    CHECK(kept_by_next(destination, "\"e2\"").empty());
    CHECK(kept_by_next(destination, "").empty());
  }
  SECTION("not from a manifest that is damaged") {
    std::filesystem::resize_file(destination.manifest(), 5000);
    CHECK(kept_by_next(destination).empty());
  }
}

TEST_CASE("a changed object starts over in the same run") {
  DestinationFixture destination;
  destination.holds("a", "1");
  auto writer = destination.start_listed();
  writer.count(TMPDUMP_COUNTER_REQUESTS, 5);
  destination.publish(writer, "a");
  const auto before = Reader::open(destination.path()).value();
  REQUIRE(writer.restart().has_value());
  CHECK(before.stale());
  const Status status = Reader::open(destination.path()).value().status();
  CHECK(status.generation == 2);
  CHECK(status.state == TMPDUMP_STATE_STARTING);
  CHECK(status.counters[TMPDUMP_COUNTER_REQUESTS] == 5);
  CHECK(status.started_ns == before.status().started_ns);
  CHECK(writer.set_listing("\"e2\"", destination.listing()).value().empty());
  destination.publish(writer, "a");
  CHECK(writer.ready().has_value());
}

TEST_CASE("a daemon that has done its work keeps the lock and nothing else") {
  DestinationFixture destination;
  destination.holds("a", "1");
  auto writer = destination.start_listed();
  const auto mappings = [&] {
    std::ifstream maps("/proc/self/maps");
    std::size_t count = 0;
    for (std::string line; std::getline(maps, line);)
      count += line.find(destination.path()) != std::string::npos ? 1U : 0U;
    return count;
  };
  writer.keep_only_the_lock(); // not yet: there is something to publish
  destination.publish(writer, "a");
  REQUIRE(writer.ready().has_value());
  const std::size_t before = mappings();
  writer.keep_only_the_lock();
  CHECK(mappings() == before - 1); // the header's page stays
  CHECK(writer.generation() == 1);
  CHECK_FALSE(writer.wanted(0));
  CHECK_FALSE(writer.publish(0).has_value());
  CHECK(writer.ready().has_value());
  const auto reader = Reader::open(destination.path()).value();
  CHECK(reader.status().alive);
  CHECK(reader.status().state == TMPDUMP_STATE_READY);
  CHECK(entry_at(destination, "a").state == TMPDUMP_ENTRY_PUBLISHED);
  CHECK(Writer::create(destination.path(), "s3://b/k").error().code == Errc::io);
}

TEST_CASE("one daemon at a time works on a destination, and nobody else's directory is used") {
  DestinationFixture destination;
  {
    const auto writer = destination.start();
    const auto second = Writer::create(destination.path(), "s3://b/k");
    REQUIRE_FALSE(second.has_value());
    CHECK(second.error().message.find("another tmpdump") != std::string::npos);
  }
  CHECK_FALSE(Reader::open(destination.path()).value().status().alive);
  std::filesystem::permissions(destination.file(".tmpdump"), std::filesystem::perms(0777));
  CHECK(Writer::create(destination.path(), "").error().code == Errc::denied);
  CHECK(Reader::open(destination.path()).error().code == Errc::denied);
}

namespace {

// A thread that is asleep on a futex word of the manifest when the test goes on. No time limit cuts its
// sleep: if nothing wakes it, the destructor hangs and ctest's limit reports it.
class Sleeper {
public:
  Sleeper(const std::uint32_t& word, std::uint32_t expected)
      : thread_([this, &word, expected] {
          id_ = ::gettid();
          while (tmpdump_load32(&word) == expected)
            futex_wait(&word, expected, std::chrono::hours(24));
        }) {
    while (!asleep())
      std::this_thread::yield();
  }
  ~Sleeper() { thread_.join(); }
  Sleeper(const Sleeper&) = delete;
  Sleeper& operator=(const Sleeper&) = delete;

private:
  [[nodiscard]] bool asleep() const {
    if (id_ == 0) return false;
    // The running system call's number and first argument: proc(5).
    std::ifstream file("/proc/self/task/" + std::to_string(id_) + "/syscall");
    long number = -1;
    return file >> number && number == SYS_futex;
  }
  std::atomic<pid_t> id_{0};
  std::thread thread_;
};

// Not every kernel has that file; and under an emulator of another machine its numbers are those of the
// kernel below.
bool kernel_tells_calls() {
  std::ifstream file("/proc/self/syscall");
  long number = -1;
  return file >> number && number == SYS_read; // the one that reads it
}

} // namespace

TEST_CASE("a daemon begins while a tmpdump fetch that ends takes an empty .tmpdump away") {
  const DestinationFixture destination;
  const std::string own = destination.file(".tmpdump");
  std::atomic<bool> over{false};
  std::atomic<int> ends{0}; // so often may it be taken away: less than a daemon tries
  std::thread ending([&] {
    while (!over) {
      if (ends > 0 && ::rmdir(own.c_str()) == 0) --ends;
    }
  });
  std::string reason;
  for (int round = 0; round < 100 && reason.empty(); ++round) {
    ends = 3;
    if (const auto writer = Writer::create(destination.path(), "s3://b/k"); !writer)
      reason = writer.error().message;
    std::filesystem::remove(own + "/lock");
    std::filesystem::remove(destination.manifest());
  }
  over = true;
  ending.join();
  INFO(reason);
  CHECK(reason.empty());
}

TEST_CASE("every change wakes who sleeps on its word") {
  if (!kernel_tells_calls()) return;
  DestinationFixture destination;
  for (const char* name : {"a", "b", "c"})
    destination.holds(name, "x");
  auto writer = destination.start();
  const auto map = [&] {
    const int directory = ::open(destination.file(".tmpdump").c_str(), O_PATH | O_CLOEXEC);
    auto mapped = map_manifest(directory, TMPDUMP_MANIFEST_NAME, false).value();
    ::close(directory);
    return mapped;
  };
  {
    const auto mapped = map();
    const Sleeper sleeper(mapped.view.header->state, TMPDUMP_STATE_STARTING);
    writer.set_listing("", destination.listing()).value();
  }
  auto mapped = map();
  {
    const Sleeper on_entry(mapped.view.progress[0].state, TMPDUMP_ENTRY_PENDING);
    const Sleeper on_change(mapped.view.header->changed, mapped.view.header->changed);
    destination.publish(writer, "a");
  }
  SECTION("failure") {
    const Sleeper on_entry(mapped.view.progress[1].state, TMPDUMP_ENTRY_PENDING);
    const Sleeper on_all(mapped.view.header->state, TMPDUMP_STATE_LISTED);
    writer.fail({Errc::io, "x"});
  }
  SECTION("a new generation") {
    const Sleeper on_entry(mapped.view.progress[1].state, TMPDUMP_ENTRY_PENDING);
    const Sleeper on_all(mapped.view.header->state, TMPDUMP_STATE_LISTED);
    writer.restart().value();
  }
  SECTION("ready") {
    const Sleeper on_all(mapped.view.header->state, TMPDUMP_STATE_LISTED);
    destination.publish(writer, "b");
    destination.publish(writer, "c");
    writer.ready().value();
  }
}

TEST_CASE("a follower hears of every change") {
  DestinationFixture destination;
  for (int i = 0; i < 50; ++i)
    destination.holds("f" + std::to_string(i), "x");
  auto writer = destination.start_listed();
  const auto reader = Reader::open(destination.path()).value();
  std::thread publisher([&] {
    destination.publish_all(writer);
    static_cast<void>(writer.ready());
  });
  for (;;) {
    const std::uint32_t seen = reader.changed();
    if (reader.status().state == TMPDUMP_STATE_READY) break;
    reader.wait_changed(seen, std::chrono::minutes(2)); // a lost wake-up would hang the test
  }
  publisher.join();
  CHECK(reader.status().counters[TMPDUMP_COUNTER_FILES_PUBLISHED] == 50);
}
