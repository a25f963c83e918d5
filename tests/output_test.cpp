// SPDX-License-Identifier: Apache-2.0
#include "output/destination.h"
#include "support/catch.h"
#include "support/scratch_directory.h"

#include <atomic>
#include <fcntl.h>
#include <sys/stat.h>
#include <thread>
#include <vector>

using namespace tmpdump;
using namespace tmpdump::output;
using tmpdump::test::NotRoot;
using tmpdump::test::ScratchDirectory;
using tmpdump::test::Umask;

namespace {

Destination open_ok(const ScratchDirectory& scratch, PathLookup lookup = PathLookup::best) {
  return Destination::open(scratch.path("dest"), lookup).value();
}

result<void> put(const Destination& destination, std::string_view path, std::string_view text,
                 mode_t mode = 0644) {
  TMPDUMP_TRY(auto file, destination.stage(path, mode, text.size()));
  TMPDUMP_CHECK(file.write_at(0, bytes_of(text)));
  return file.publish();
}

bool ok(const result<void>& outcome) {
  if (!outcome) UNSCOPED_INFO(outcome.error().message);
  return outcome.has_value();
}
std::string message(const result<void>& outcome) {
  return outcome ? "" : outcome.error().message;
}
template <class T>
Errc code(const result<T>& outcome) {
  return outcome ? static_cast<Errc>(0) : outcome.error().code;
}

const PathLookup lookups[] = {PathLookup::best, PathLookup::walk};

} // namespace

TEST_CASE("a file is visible only when it is published, and then whole") {
  const ScratchDirectory scratch;
  const auto destination = open_ok(scratch);
  auto file = destination.stage("lib/deep/er/libx.so", 0755, 11).value();
  REQUIRE(ok(file.write_at(6, bytes_of("world"))));
  CHECK_FALSE(scratch.exists("dest/lib"));
  REQUIRE(ok(file.write_at(0, bytes_of("hello "))));
  REQUIRE(ok(file.publish()));
  CHECK(scratch.read("dest/lib/deep/er/libx.so") == "hello world");
  CHECK(scratch.mode("dest/lib/deep/er/libx.so") == 0755);
  CHECK(scratch.list("dest/.tmpdump/stage") == std::vector<std::string>{"lock"});
  CHECK_FALSE(ok(file.publish())); // empty now
  CHECK_FALSE(ok(file.write_at(0, bytes_of("x"))));
}

TEST_CASE(
    "modes are the archive's whatever the umask, but for setuid, setgid, sticky, and that others may write") {
  for (const mode_t mask : {0000U, 0022U, 0077U, 0777U}) {
    const ScratchDirectory scratch;
    const Umask umask(mask);
    INFO("umask " << mask);
    const auto destination = open_ok(scratch);
    for (const mode_t mode : {0644U, 0755U, 0600U, 0444U, 0777U, 0000U, 06755U}) {
      const std::string name = "a/b/f" + std::to_string(mode);
      REQUIRE(ok(put(destination, name, "text", mode)));
      CHECK(scratch.mode("dest/" + name) == (mode & 0755U));
    }
    CHECK(scratch.mode("dest/a") == 0755);
    CHECK(scratch.mode("dest/a/b") == 0755);
    REQUIRE(ok(destination.make_directory("d/e", 0777)));
    CHECK(scratch.mode("dest/d") == 0755);
    CHECK(scratch.mode("dest/d/e") == 0755);
    REQUIRE(ok(destination.make_directory("d/e", 0701))); // exists: set
    CHECK(scratch.mode("dest/d/e") == 0701);
    CHECK(scratch.mode("dest/.tmpdump") == 0700);
    CHECK(scratch.mode("dest/.tmpdump/stage") == 0700);
  }
}

TEST_CASE("a directory gets its mode whatever it forbids its owner") {
  const ScratchDirectory scratch;
  const NotRoot user(scratch);
  const auto destination = open_ok(scratch, GENERATE(PathLookup::best, PathLookup::walk));
  for (const mode_t mode : {0300U, 0100U, 0000U, 0200U, 0400U, 0555U}) {
    INFO("mode " << mode);
    REQUIRE(ok(destination.make_directory("d", mode)));
    REQUIRE(ok(destination.make_directory("d", 0700)));
    CHECK(scratch.mode("dest/d") == 0700);
  }
}

TEST_CASE("files, symlinks and empty directories are replaced, directories with something in them are not") {
  for (const auto lookup : lookups) {
    const ScratchDirectory scratch;
    const auto destination = open_ok(scratch, lookup);
    REQUIRE(ok(put(destination, "d/f", "one")));
    const UniqueFd old(::open(scratch.path("dest/d/f").c_str(), O_RDONLY | O_CLOEXEC));
    REQUIRE(ok(put(destination, "d/f", "two, longer")));
    CHECK(scratch.read("dest/d/f") == "two, longer");
    char kept[8] = {};
    CHECK(::read(old.get(), kept, sizeof kept) == 3); // whoever had it open still sees the old file

    scratch.write("victim", "untouched");
    scratch.symlink("../../victim", "dest/d/link");
    REQUIRE(ok(put(destination, "d/link", "a file now")));
    CHECK(scratch.read("dest/d/link") == "a file now");
    CHECK(scratch.read("victim") == "untouched");

    REQUIRE(ok(destination.make_symlink("d/link", "f")));
    CHECK(scratch.link("dest/d/link") == "f");
    REQUIRE(ok(destination.make_symlink("d/link", "elsewhere")));
    CHECK(scratch.link("dest/d/link") == "elsewhere");

    // The exec wrapper makes DEST/lib before it is known that the archive has a link of that name.
    scratch.make_directory("dest/lib");
    REQUIRE(ok(destination.make_symlink("lib", "lib64")));
    CHECK(scratch.link("dest/lib") == "lib64");
    REQUIRE(ok(destination.make_directory("d/empty", 0755)));
    REQUIRE(ok(put(destination, "d/empty", "a file now")));
    CHECK(scratch.read("dest/d/empty") == "a file now");

    scratch.make_directory("dest/d/full");
    scratch.write("dest/d/full/f", "somebody's");
    CHECK(message(put(destination, "d/full", "x")) ==
          "publish 'd/full' in '" + scratch.path("dest") +
              "': a directory is in its place: remove it or choose another one");
    CHECK_FALSE(ok(destination.make_symlink("d/full", "f")));
    CHECK(scratch.read("dest/d/full/f") == "somebody's");
    CHECK(message(destination.make_directory("d/f", 0755)).find("is not a directory") != std::string::npos);
    CHECK(scratch.list("dest/.tmpdump/stage") == std::vector<std::string>{"lock"});
  }
}

TEST_CASE("a symlink or a file planted in any component is refused and never followed") {
  for (const auto lookup : lookups) {
    for (const std::string planted : {"a", "a/b", "a/b/c"}) {
      for (const std::string kind : {"absolute", "..", "real", "nowhere", "magic link", "file"}) {
        const ScratchDirectory scratch;
        scratch.make_directory("outside"); // whatever is broken, nothing leaves the scratch directory
        const UniqueFd outside(::open(scratch.path("outside").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        scratch.make_directory("dest");
        const auto destination = open_ok(scratch, lookup);
        if (planted != "a") REQUIRE(ok(destination.make_directory("a", 0755)));
        if (planted == "a/b/c") REQUIRE(ok(destination.make_directory("a/b", 0755)));
        REQUIRE(ok(destination.make_directory("real", 0755)));
        if (kind == "file")
          scratch.write("dest/" + planted, "a file");
        else if (kind == "absolute")
          scratch.symlink(scratch.path("outside"), "dest/" + planted);
        else if (kind == "magic link")
          scratch.symlink("/proc/self/fd/" + std::to_string(outside.get()), "dest/" + planted);
        else
          scratch.symlink(kind, "dest/" + planted);
        INFO("planted " << planted << ": " << kind << (lookup == PathLookup::walk ? ", walk" : ", best"));
        const std::string expected = "'" + planted + "' in '" + scratch.path("dest") +
                                     (kind == "file" ? "' is not a directory" : "' is a symlink");
        CHECK(message(put(destination, "a/b/c/f", "x")).rfind(expected, 0) == 0);
        CHECK(message(destination.make_directory("a/b/c/d", 0755)).rfind(expected, 0) == 0);
        CHECK(message(destination.make_symlink("a/b/c/s", "x")).rfind(expected, 0) == 0);
        CHECK(message(destination.make_directory(planted, 0700)).rfind(expected, 0) == 0);
        CHECK(scratch.list("outside").empty());
        CHECK(scratch.list("dest/real").empty());
        CHECK(scratch.list("dest/.tmpdump/stage") == std::vector<std::string>{"lock"});
      }
    }
  }
}

TEST_CASE("what no entry may be called is refused once more") {
  const ScratchDirectory scratch;
  const auto destination = open_ok(scratch);
  for (const std::string_view path :
       {std::string_view(""), std::string_view("/abs"), std::string_view("a//b"), std::string_view("a/"),
        std::string_view("."), std::string_view(".."), std::string_view("a/../../b"), std::string_view("./a"),
        std::string_view("a\0b", 3), std::string_view(".tmpdump/manifest"), std::string_view(".tmpdump"),
        std::string_view(".tmpdump/stage/lock")}) {
    INFO("path '" << printable(path) << "'");
    CHECK(code(put(destination, path, "x")) == Errc::bad_archive);
    CHECK(code(destination.make_directory(path, 0755)) == Errc::bad_archive);
    CHECK(code(destination.make_symlink(path, "x")) == Errc::bad_archive);
  }
  CHECK(code(destination.make_symlink("s", std::string_view("a\0b", 3))) == Errc::bad_archive);
  REQUIRE(ok(put(destination, "lib/.tmpdump/f", "x"))); // only at the top is it ours
  CHECK(message(put(destination, "/new\nline", "x")).find("\\x0a") != std::string::npos);
}

TEST_CASE("long names: 255 bytes a component, any number of components, else a clear failure") {
  for (const auto lookup : lookups) {
    const ScratchDirectory scratch;
    const auto destination = open_ok(scratch, lookup);
    const std::string longest(255, 'n');
    REQUIRE(ok(put(destination, longest, "x")));
    CHECK(scratch.read("dest/" + longest) == "x");
    CHECK(message(put(destination, longest + "n", "x")).find("File name too long") != std::string::npos);
    CHECK(message(put(destination, longest + "n/f", "x")).find("File name too long") != std::string::npos);
    std::string deep; // beyond PATH_MAX
    for (int i = 0; i < 20; ++i)
      deep += std::string(250, 'd') + '/';
    REQUIRE(ok(put(destination, deep + "f", "deep")));
    REQUIRE(ok(put(destination, deep + "f", "again")));
    CHECK(code(destination.make_symlink("s", std::string(5000, 't'))) == Errc::io);
  }
}

TEST_CASE("a staged file that is not published disappears") {
  const ScratchDirectory scratch;
  const auto destination = open_ok(scratch);
  const std::vector<std::string> nothing{"lock"};
  {
    auto a = destination.stage("a", 0644, 1).value();
    auto b = destination.stage("b", 0644, 1).value();
    CHECK(scratch.list("dest/.tmpdump/stage").size() == 3);
    b = std::move(a); // what b was goes away
    CHECK(scratch.list("dest/.tmpdump/stage").size() == 2);
    const auto c = std::move(b);
    CHECK(scratch.list("dest/.tmpdump/stage").size() == 2);
  }
  CHECK(scratch.list("dest/.tmpdump/stage") == nothing);
  CHECK(ok(put(destination, "a", "x")));
  CHECK(ok(put(destination, "d/f", "x")));
  CHECK_FALSE(ok(put(destination, "d", "x"))); // failed to publish
  CHECK(scratch.list("dest/.tmpdump/stage") == nothing);
}

TEST_CASE("ten thousand small files, by four threads, with the same parents made at the same time") {
  for (const auto lookup : lookups) {
    const int count = lookup == PathLookup::best ? 10'000 : 2000;
    const ScratchDirectory scratch;
    const auto destination = open_ok(scratch, lookup);
    std::atomic<int> failures = 0;
    std::vector<std::thread> threads;
    threads.reserve(4);
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (int i = t; i < count; i += 4) {
          const std::string path =
              "d" + std::to_string(i / 1000) + "/e" + std::to_string(i / 100) + "/f" + std::to_string(i);
          if (!put(destination, path, path)) ++failures;
        }
      });
    }
    for (auto& thread : threads)
      thread.join();
    CHECK(failures == 0);
    int found = 0;
    for (int i = 0; i < count; ++i) {
      const std::string path =
          "d" + std::to_string(i / 1000) + "/e" + std::to_string(i / 100) + "/f" + std::to_string(i);
      found += scratch.read("dest/" + path) == path ? 1 : 0;
    }
    CHECK(found == count);
    CHECK(scratch.list("dest/.tmpdump/stage") == std::vector<std::string>{"lock"});
  }
}

TEST_CASE("a directory has its own mode, also when a file in it comes at the same time") {
  const ScratchDirectory scratch;
  const auto destination = open_ok(scratch, GENERATE(PathLookup::best, PathLookup::walk));
  for (int round = 0; round < 500; ++round) {
    const std::string name = "d" + std::to_string(round);
    std::atomic<int> ready{0};
    const auto together = [&ready] {
      for (++ready; ready < 2;)
        std::this_thread::yield();
    };
    auto file = destination.stage(name + "/deep/file", 0644, 0).value();
    std::thread other([&] {
      together();
      static_cast<void>(file.publish());
    });
    together();
    const auto made = destination.make_directory(name, 0750);
    other.join();
    REQUIRE(ok(made));
    REQUIRE(scratch.exists("dest/" + name + "/deep/file"));
    REQUIRE(scratch.mode("dest/" + name) == 0750);
  }
}

TEST_CASE("removed is what was made: that file, an empty directory, and nothing through a symlink") {
  const ScratchDirectory scratch;
  const auto destination = open_ok(scratch, GENERATE(PathLookup::best, PathLookup::walk));
  const auto identity = [&](const std::string& path) {
    struct stat status {};
    REQUIRE(::lstat(scratch.path(path).c_str(), &status) == 0);
    return Identity{status.st_ino, status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec};
  };
  REQUIRE(ok(put(destination, "lib/a.so", "a")));
  REQUIRE(ok(put(destination, "lib/b.so", "b")));
  REQUIRE(ok(destination.make_symlink("link.so", "lib/a.so")));
  scratch.make_directory("outside");
  scratch.write("outside/precious", "x");
  scratch.symlink("../outside", "dest/out");
  const auto a = identity("dest/lib/a.so");
  auto written_again = identity("dest/lib/b.so");
  --written_again.mtime_ns;

  CHECK(ok(destination.remove("lib", {}))); // not empty
  CHECK(ok(destination.remove("lib/b.so", a)));
  CHECK(ok(destination.remove("lib/b.so", written_again)));
  CHECK(ok(destination.remove("out/precious", identity("outside/precious"))));
  CHECK(ok(destination.remove("../outside/precious", identity("outside/precious"))));
  CHECK(ok(destination.remove("no/such/file", a)));
  CHECK(scratch.list("dest/lib") == std::vector<std::string>{"a.so", "b.so"});
  CHECK(scratch.exists("outside/precious"));
  CHECK_FALSE(scratch.exists("dest/no"));

  CHECK(ok(destination.remove("link.so", identity("dest/link.so"))));
  CHECK(ok(destination.remove("lib/a.so", a)));
  CHECK(ok(destination.remove("lib/b.so", identity("dest/lib/b.so"))));
  CHECK(ok(destination.remove("lib", {})));
  CHECK_FALSE(scratch.exists("dest/link.so"));
  CHECK_FALSE(scratch.exists("dest/lib"));
}

TEST_CASE("a directory is opened to its owner if it is there, and nothing else is touched") {
  const ScratchDirectory scratch;
  const NotRoot user(scratch);
  const auto destination = open_ok(scratch, GENERATE(PathLookup::best, PathLookup::walk));
  for (const mode_t mode : {0000U, 0055U, 0300U, 0555U, 0755U}) {
    REQUIRE(ok(destination.make_directory("d", mode)));
    CHECK(ok(destination.open_directory("d")));
    CHECK(scratch.mode("dest/d") == (mode | 0700U));
  }
  CHECK(ok(destination.open_directory("no/such")));
  CHECK_FALSE(scratch.exists("dest/no"));
  scratch.make_directory("outside/closed");
  scratch.symlink("../outside", "dest/out");
  scratch.symlink("../outside/closed", "dest/closed");
  REQUIRE(::chmod(scratch.path("outside/closed").c_str(), 0555) == 0);
  scratch.write("dest/file", "x");
  REQUIRE(::chmod(scratch.path("dest/file").c_str(), 0444) == 0);
  for (const auto* path : {"out/closed", "closed", "file", "../outside/closed"})
    CHECK(ok(destination.open_directory(path)));
  CHECK(scratch.mode("outside/closed") == 0555);
  CHECK(scratch.mode("dest/file") == 0444);
}

TEST_CASE("clean_up leaves nothing of ours, and nothing of others is touched") {
  const ScratchDirectory scratch;
  {
    const auto destination = open_ok(scratch);
    REQUIRE(ok(put(destination, "f", "x")));
    auto left = destination.stage("g", 0644, 1).value();
    destination.clean_up();
    CHECK(scratch.list("dest") == std::vector<std::string>{"f"});
    CHECK_FALSE(ok(left.publish()));
  }
  {
    const auto destination = open_ok(scratch);
    scratch.write("dest/.tmpdump/manifest", "somebody else's");
    destination.clean_up();
    CHECK(scratch.list("dest/.tmpdump") == std::vector<std::string>{"manifest"});
    const auto next = open_ok(scratch); // the lock is free although the first one still lives
    CHECK(ok(put(next, "h", "x")));
  }
}

TEST_CASE("free space is what the file system says") {
  const ScratchDirectory scratch;
  CHECK(open_ok(scratch).free_space().value() > 0);
}
