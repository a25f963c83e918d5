// SPDX-License-Identifier: Apache-2.0
// The output directory and the system around it: full and read-only file systems, other processes and users.
#include "output/destination.h"
#include "support/catch.h"
#include "support/child.h"
#include "support/scratch_directory.h"

#include <algorithm>
#include <fcntl.h>
#include <iterator>
#include <optional>
#include <sys/stat.h>
#include <thread>
#include <vector>

using namespace tmpdump;
using namespace tmpdump::output;
using namespace tmpdump::test;

namespace {

std::string open_message(const std::string& path) {
  const auto destination = Destination::open(path);
  return destination ? "" : destination.error().message;
}

bool ok(const result<void>& outcome) {
  if (!outcome) UNSCOPED_INFO(outcome.error().message);
  return outcome.has_value();
}

const std::vector<std::string> only_the_lock{"lock"};

bool is_root() {
  if (::geteuid() == 0) return true;
  WARN("skipped: needs root");
  return false;
}

} // namespace

TEST_CASE("DEST is made, one level; a symlink to a directory is the user's choice") {
  const ScratchDirectory scratch;
  REQUIRE(open_message(scratch.path("new")).empty());
  CHECK(scratch.list("new/.tmpdump/stage") == only_the_lock);
  CHECK(open_message(scratch.path("not/there")) ==
        "make directory '" + scratch.path("not/there") + "': its parent does not exist");
  scratch.write("file", "x");
  CHECK(open_message(scratch.path("file")) ==
        "open directory '" + scratch.path("file") + "': Not a directory");
  scratch.symlink("new", "link");
  REQUIRE(open_message(scratch.path("link")).empty());
  CHECK_FALSE(open_message("").empty());
}

TEST_CASE("a planted .tmpdump or stage is refused with what to do") {
  for (const std::string name : {".tmpdump", ".tmpdump/stage"}) {
    for (const bool link : {true, false}) {
      const ScratchDirectory scratch;
      scratch.make_directory("elsewhere");
      scratch.make_directory(name == ".tmpdump" ? "dest" : "dest/.tmpdump");
      if (link)
        scratch.symlink(scratch.path("elsewhere"), "dest/" + name);
      else
        scratch.write("dest/" + name, "x");
      CHECK(open_message(scratch.path("dest")) ==
            "'" + name + "' in '" + scratch.path("dest") + "' is " +
                (link ? "a symlink, and none is followed" : "not a directory") +
                ": remove it or choose another directory");
      CHECK(scratch.list("elsewhere").empty());
    }
  }
  const ScratchDirectory scratch;
  scratch.make_directory("dest/.tmpdump/stage");
  scratch.symlink(scratch.path("victim"), "dest/.tmpdump/stage/lock");
  CHECK_FALSE(open_message(scratch.path("dest")).empty());
  CHECK_FALSE(scratch.exists("victim"));
}

TEST_CASE("a .tmpdump of another user is refused, in both directions") {
  if (!is_root()) return;
  for (const std::string name : {".tmpdump", ".tmpdump/stage"}) {
    const ScratchDirectory scratch;
    scratch.make_directory("dest/.tmpdump/stage");
    REQUIRE(::chown(scratch.path("dest/" + name).c_str(), 12345, 0) == 0);
    CHECK(open_message(scratch.path("dest")) ==
          "'" + name + "' in '" + scratch.path("dest") +
              "' belongs to another user (uid 12345): remove it or choose another directory");
  }
  const ScratchDirectory scratch;
  scratch.make_directory("dest/.tmpdump");
  REQUIRE(::chmod(scratch.path().c_str(), 0755) == 0);
  REQUIRE(::chmod(scratch.path("dest/.tmpdump").c_str(), 0700) == 0); // not even to be opened
  const std::string message = in_child([&] {
    if (::setuid(12345) != 0) return std::string("setuid");
    return open_message(scratch.path("dest"));
  });
  CHECK(message == "'.tmpdump' in '" + scratch.path("dest") +
                       "' belongs to another user (uid 0): remove it or choose another directory");
}

TEST_CASE("modes of .tmpdump and stage are put right") {
  const ScratchDirectory scratch;
  scratch.make_directory("dest/.tmpdump/stage");
  REQUIRE(::chmod(scratch.path("dest/.tmpdump").c_str(), 0777) == 0);
  REQUIRE(::chmod(scratch.path("dest/.tmpdump/stage").c_str(), 0755) == 0);
  REQUIRE(open_message(scratch.path("dest")).empty());
  CHECK(scratch.mode("dest/.tmpdump") == 0700);
  CHECK(scratch.mode("dest/.tmpdump/stage") == 0700);
}

TEST_CASE("what a killed run left in stage is removed, without following symlinks") {
  const ScratchDirectory scratch;
  scratch.write("victim", "untouched");
  Child predecessor([&] {
    // Both live until the kill.
    static const auto destination = Destination::open(scratch.path("dest")).value();
    static auto file = destination.stage("libx.so", 0644, 1000).value();
    static_cast<void>(file.write_at(0, bytes_of("half a li")));
  });
  REQUIRE(predecessor.started());
  CHECK(scratch.list("dest/.tmpdump/stage").size() == 2);
  CHECK(open_message(scratch.path("dest")) == "another tmpdump is working in '" + scratch.path("dest") +
                                                  "': wait until it is done or choose another directory");
  CHECK(scratch.list("dest/.tmpdump/stage").size() == 2); // its files are left alone
  predecessor.kill();
  scratch.symlink(scratch.path("victim"), "dest/.tmpdump/stage/link");
  scratch.make_directory("dest/.tmpdump/stage/directory");
  scratch.make_directory("elsewhere");
  scratch.write("elsewhere/file", "untouched");
  scratch.symlink(scratch.path("elsewhere"), "dest/.tmpdump/stage/directory link");
  const auto destination = Destination::open(scratch.path("dest")).value();
  CHECK(scratch.list("dest/.tmpdump/stage") == only_the_lock);
  CHECK(scratch.read("victim") == "untouched");
  CHECK(scratch.read("elsewhere/file") == "untouched");
}

TEST_CASE("one at a time: the lock ends with its holder, and a staged file holds it too") {
  const ScratchDirectory scratch;
  {
    std::optional<Destination> first = Destination::open(scratch.path("dest")).value();
    std::optional<StagedFile> file = first->stage("f", 0644, 0).value();
    CHECK_FALSE(open_message(scratch.path("dest")).empty());
    first.reset();
    CHECK_FALSE(open_message(scratch.path("dest")).empty());
    REQUIRE(ok(file->publish()));
  }
  CHECK(open_message(scratch.path("dest")).empty());
}

TEST_CASE("processes that open, work and clean up at the same time never destroy each other's files") {
  const ScratchDirectory scratch;
  const auto work = [&](const std::string& name) {
    return [&scratch, name]() -> std::string {
      int served = 0;
      for (int i = 0; i < 300; ++i) {
        const auto destination = Destination::open(scratch.path("dest"));
        if (!destination) {
          if (destination.error().message.rfind("another tmpdump", 0) != 0)
            return destination.error().message;
          continue;
        }
        auto file = destination->stage(name, 0644, 4);
        if (!file) return file.error().message;
        if (const auto written = file->write_at(0, bytes_of("text")); !written)
          return written.error().message;
        if (const auto published = file->publish(); !published) return published.error().message;
        destination->clean_up();
        ++served;
      }
      return served > 0 ? "good" : "never served";
    };
  };
  std::string answers[3];
  std::vector<std::thread> threads;
  threads.reserve(3);
  for (int i = 0; i < 3; ++i)
    threads.emplace_back([&, i] { answers[i] = work("f" + std::to_string(i))(); });
  for (auto& thread : threads)
    thread.join();
  for (const auto& answer : answers)
    CHECK((answer == "good" || answer == "never served"));
  CHECK(std::find(std::begin(answers), std::end(answers), "good") != std::end(answers));
}

TEST_CASE("a full file system is reported before the first byte, or by the write that meets it") {
  const ScratchDirectory scratch;
  scratch.make_directory("small");
  const std::string dest = scratch.path("small/dest");
  const auto outcome = on_tmpfs(scratch.path("small"), "size=4m", [&]() -> std::string {
    const auto destination = Destination::open(dest).value();
    const std::uint64_t free = destination.free_space().value();
    if (free == 0 || free > 4 << 20) return "free_space: " + std::to_string(free);
    {
      const auto early = destination.stage("big", 0644, 5 << 20);
      if (early || early.error().code != Errc::no_space) return "not refused early";
      if (early.error().message != "reserve space for 'big' in '" + dest +
                                       "': No space left on device (free some, or give the file system more: "
                                       "on Lambda, ephemeral storage)")
        return early.error().message;
    }
    if (destination.free_space().value() != free) return "the failed reservation leaked";
    {
      auto late = destination.stage("lies", 0644, 10).value(); // more comes than was said
      const std::vector<std::byte> bytes(5 << 20);
      const auto written = late.write_at(0, bytes);
      if (written || written.error().code != Errc::no_space) return "the write did not fail";
    }
    if (destination.free_space().value() != free) return "the failed file leaked";
    auto fits = destination.stage("fits", 0644, 3 << 20).value();
    if (destination.free_space().value() > free - (3 << 20)) return "nothing was reserved";
    const std::vector<std::byte> bytes(3 << 20);
    if (!fits.write_at(0, bytes) || !fits.publish()) return "what fits did not fit";
    return "good";
  });
  if (outcome.empty())
    WARN("skipped: needs the right to mount");
  else
    CHECK(outcome == "good");
}

TEST_CASE("a read-only file system is reported") {
  const ScratchDirectory scratch;
  scratch.make_directory("ro");
  const auto outcome = on_tmpfs(scratch.path("ro"), "ro", [&] { return open_message(scratch.path("ro")); });
  if (outcome.empty())
    WARN("skipped: needs the right to mount");
  else
    CHECK(outcome == "make directory '.tmpdump' in '" + scratch.path("ro") + "': Read-only file system");
}
