// SPDX-License-Identifier: Apache-2.0
// Waiting for files while a daemon in the same process publishes them.
#include "support/client_fixture.h"

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <optional>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace tmpdump;
using test::Client;
using test::DestinationFixture;
using test::library_that_needs;

namespace {

// From here on the kernel kills the process that calls anything but exit_group. Not SECCOMP_MODE_STRICT,
// which ends the calling thread alone: ThreadSanitizer's own thread would then keep the process, and whoever
// waits for it.
bool allow_only_exit_group() {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
  };
  const sock_fprog filter{.len = std::size(program), .filter = program};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

} // namespace

TEST_CASE("where no daemon ever started, every call says so at once") {
  DestinationFixture destination;
  Client client(destination);
  CHECK(client.wait() == TMPDUMP_NO_DAEMON);
  CHECK(client.wait_file(destination.file("lib/x.so")) == TMPDUMP_NO_DAEMON);
  CHECK(client.wait_file("lib/x.so") == TMPDUMP_NO_DAEMON);
  CHECK(client.wait_file("/usr/lib/libc.so.6") == TMPDUMP_NOT_IN_ARCHIVE);
  CHECK(client.status().state == 0);
  CHECK(client.reason().empty());
  CHECK(Client(destination.file("nowhere")).wait() == TMPDUMP_NO_DAEMON);
  std::filesystem::create_directory(destination.file(".tmpdump"));
  CHECK(client.wait() == TMPDUMP_NO_DAEMON);
}

TEST_CASE("a file is ready when it and all that it needs is published") {
  DestinationFixture destination;
  destination.holds("lib/a.so", library_that_needs({"b.so.1", "libc.so.6"}));
  destination.holds_link("lib/b.so.1", "b.so.1.2");
  destination.holds("lib/b.so.1.2", library_that_needs({"c.so"}));
  destination.holds("lib/c.so", library_that_needs({}));
  destination.holds("lib/other.so", library_that_needs({}));
  auto writer = destination.start();
  Client client(destination);
  CHECK(client.is_there("lib/a.so") == TMPDUMP_TIMEOUT); // not even listed
  CHECK(client.is_there("/usr/lib/libc.so.6") == TMPDUMP_NOT_IN_ARCHIVE);
  writer.set_listing("\"e\"", destination.listing()).value();

  CHECK(client.is_there("lib/a.so") == TMPDUMP_TIMEOUT);
  CHECK(client.is_there("lib/d.so") == TMPDUMP_NOT_IN_ARCHIVE);
  for (const char* name : {"lib/a.so", "lib/b.so.1", "lib/b.so.1.2"}) {
    destination.publish(writer, name);
    CHECK(client.is_there("lib/a.so") == TMPDUMP_TIMEOUT);
  }
  destination.publish(writer, "lib/c.so");
  CHECK(client.is_there("lib/a.so") == TMPDUMP_OK);
  CHECK(client.is_there("lib/b.so.1") == TMPDUMP_OK);
  CHECK(client.wait(0) == TMPDUMP_TIMEOUT);
  CHECK(client.is_there("lib/other.so") == TMPDUMP_TIMEOUT);
  destination.publish(writer, "lib/other.so");
  CHECK(client.wait(0) ==
        TMPDUMP_TIMEOUT); // every file is there, but the daemon has not said that this is all
  writer.ready().value();
  CHECK(client.wait(0) == TMPDUMP_OK);
  CHECK(client.status().files_published == 5);
  CHECK(client.status().state == TMPDUMP_IS_READY);
}

TEST_CASE("libraries may need each other in a circle") {
  DestinationFixture destination;
  destination.holds("a.so", library_that_needs({"b.so", "a.so"}));
  destination.holds("b.so", library_that_needs({"c.so"}));
  destination.holds("c.so", library_that_needs({"a.so"}));
  auto writer = destination.start_listed();
  Client client(destination);
  destination.publish(writer, "a.so");
  destination.publish(writer, "b.so");
  CHECK(client.is_there("c.so") == TMPDUMP_TIMEOUT);
  destination.publish(writer, "c.so");
  for (const char* name : {"a.so", "b.so", "c.so"})
    CHECK(client.is_there(name) == TMPDUMP_OK);
}

TEST_CASE("a file has many spellings") {
  DestinationFixture destination;
  destination.holds("lib/a.so", "");
  destination.holds_link("lib64", "lib");
  auto writer = destination.start_listed();
  destination.publish(writer, "lib/a.so");
  const std::string& top = destination.path();
  const std::string alias = top + "-alias";
  std::filesystem::create_directory_symlink(top, alias);
  for (const std::string& spelled : {top, top + "/", top + "//", alias}) {
    Client client(spelled);
    for (const std::string path : {"lib/a.so", "./lib//a.so", "lib/../lib/./a.so", "x/../lib/a.so"}) {
      INFO(spelled << " " << path);
      CHECK(client.is_there(path) == TMPDUMP_OK);
      CHECK(client.is_there(destination.file(path)) == TMPDUMP_OK);
    }
    CHECK(client.is_there(top) == TMPDUMP_NOT_IN_ARCHIVE);
    CHECK(client.is_there(top + "x/lib/a.so") == TMPDUMP_NOT_IN_ARCHIVE);
    CHECK(client.is_there("../" + top.substr(top.rfind('/') + 1) + "/lib/a.so") == TMPDUMP_NOT_IN_ARCHIVE);
    CHECK(client.is_there("../lib/a.so") == TMPDUMP_NOT_IN_ARCHIVE);
    CHECK(client.is_there("lib/a.so/") == TMPDUMP_OK);
    CHECK(client.is_there("lib") == TMPDUMP_NOT_IN_ARCHIVE);
    CHECK(client.is_there("") == TMPDUMP_INVALID);
    CHECK(client.is_there(std::string(PATH_MAX, 'x')) == TMPDUMP_INVALID);
    CHECK(client.is_there(top + "/.tmpdump/manifest") == TMPDUMP_NOT_IN_ARCHIVE);
  }
  Client client(destination);
  CHECK(tmpdump_client_wait_file(&client.raw(), nullptr, 0) == TMPDUMP_INVALID);
  // Through a linked directory the listing cannot tell: then everything has to be there.
  CHECK(client.is_there("lib64/a.so") == TMPDUMP_TIMEOUT);
  destination.publish(writer, "lib64");
  writer.ready().value();
  CHECK(client.is_there("lib64/a.so") == TMPDUMP_OK);
  std::filesystem::remove(alias);
}

TEST_CASE("failure wakes everybody, with its reason, but takes nothing back") {
  DestinationFixture destination;
  destination.holds("a", "1");
  destination.holds("b", "1");
  auto writer = destination.start_listed();
  destination.publish(writer, "a");
  Client client(destination);
  std::atomic<int> file_code{-1}, all_code{-1};
  std::thread waits_for_file([&] { file_code = client.wait_file("b"); });
  std::thread waits_for_all([&] { all_code = client.wait(); });
  test::until_wanted(writer, destination.index("b"));
  writer.fail({Errc::bad_archive, "entry 'b': the CRC differs"});
  waits_for_file.join();
  waits_for_all.join();
  CHECK(file_code == TMPDUMP_FAILED);
  CHECK(all_code == TMPDUMP_FAILED);
  CHECK(client.reason() == "entry 'b': the CRC differs");
  CHECK(client.status().failure_code == static_cast<std::uint32_t>(Errc::bad_archive));
  CHECK(client.wait_file("a") == TMPDUMP_OK);
  CHECK(client.wait_file("c") == TMPDUMP_NOT_IN_ARCHIVE);
  char little[6];
  CHECK(tmpdump_client_reason(&client.raw(), little, sizeof little) == 26);
  CHECK(std::string(little) == "entry");
  CHECK(tmpdump_client_reason(&client.raw(), nullptr, 0) == 26);
}

TEST_CASE("failure before anything is known ends the waits for files too") {
  DestinationFixture destination;
  auto writer = destination.start();
  Client client(destination);
  std::atomic<int> code{-1};
  std::thread waiter([&] { code = client.wait_file("lib/a.so"); });
  writer.fail({Errc::not_found, "s3://b/k does not exist"});
  waiter.join();
  CHECK(code == TMPDUMP_FAILED);
  CHECK(client.reason() == "s3://b/k does not exist");
}

TEST_CASE("waiters move over to a new generation") {
  DestinationFixture destination;
  destination.holds("a", "1");
  destination.holds("b", "1");
  auto writer = destination.start_listed();
  destination.publish(writer, "a");
  Client client(destination);
  CHECK(client.wait_file("a") == TMPDUMP_OK);
  std::atomic<int> file_code{-1}, all_code{-1};
  std::thread waits_for_file([&] { file_code = client.wait_file("b"); });
  std::thread waits_for_all([&] { all_code = client.wait(); });
  test::until_wanted(writer, destination.index("b"));
  writer.restart().value();
  CHECK(client.is_there("a") == TMPDUMP_TIMEOUT); // the new object may hold another one
  writer.set_listing("\"e2\"", destination.listing()).value();
  test::until_wanted(writer, destination.index("b"));
  destination.publish_all(writer);
  writer.ready().value();
  waits_for_file.join();
  waits_for_all.join();
  CHECK(file_code == TMPDUMP_OK);
  CHECK(all_code == TMPDUMP_OK);
  CHECK(client.status().generation == 2);
}

TEST_CASE("after a new generation, and then the removal of all, there is nothing to tell") {
  DestinationFixture destination;
  destination.holds("a", "1");
  std::optional<manifest::Writer> writer = destination.start_listed();
  destination.publish_all(*writer);
  writer->ready().value();
  Client client(destination);
  REQUIRE(client.wait() == TMPDUMP_OK);
  REQUIRE(client.status().state == TMPDUMP_STATE_READY);
  writer.reset();
  writer.emplace(destination.start());
  std::filesystem::remove_all(destination.file(".tmpdump"));
  tmpdump_report report{};
  report.size = sizeof report;
  CHECK(tmpdump_client_status(&client.raw(), &report) == TMPDUMP_NO_DAEMON);
  CHECK(report.state == 0);
  CHECK(client.reason().empty());
  CHECK(client.wait() == TMPDUMP_OK); // what was ready stays
}

TEST_CASE("many threads wait while many threads publish") {
  DestinationFixture destination;
  constexpr int files = 64;
  for (int i = 0; i < files; ++i) {
    const int next = (i + 1) % files;
    destination.holds("l" + std::to_string(i), library_that_needs({"l" + std::to_string(next)}));
  }
  auto writer = destination.start();
  Client client(destination);
  std::atomic<int> ok{0};
  std::vector<std::thread> threads;
  threads.reserve(files + 4);
  for (int i = 0; i < files; ++i) {
    threads.emplace_back([&, i] {
      const bool whole = i % 16 == 0;
      ok += (whole ? client.wait() : client.wait_file("l" + std::to_string(i))) == TMPDUMP_OK ? 1 : 0;
    });
  }
  writer.set_listing("", destination.listing()).value();
  std::atomic<int> next{0};
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int file = next++; file < files; file = next++)
        destination.publish(writer, "l" + std::to_string(file));
    });
  }
  for (std::size_t i = files; i < threads.size(); ++i)
    threads[i].join();
  writer.ready().value();
  for (std::size_t i = 0; i < files; ++i)
    threads[i].join();
  CHECK(ok == files);
}

TEST_CASE("ten thousand files, each found, the first of them needing all the others") {
  DestinationFixture destination;
  constexpr int files = 10000;
  const auto name = [](int i) { return "lib/package/subpackage/lib" + std::to_string(i) + ".so"; };
  for (int i = 0; i < files; ++i) {
    destination.holds(name(i),
                      i + 1 < files ? library_that_needs({"lib" + std::to_string(i + 1) + ".so"}) : "");
  }
  auto writer = destination.start_listed();
  Client client(destination);
  std::filesystem::create_directories(destination.file("lib/package/subpackage"));
  for (int i = 0; i + 1 < files; ++i) {
    std::ofstream(destination.file(name(i))) << library_that_needs({"lib" + std::to_string(i + 1) + ".so"});
    REQUIRE(writer.publish(static_cast<std::uint32_t>(i)).has_value());
  }
  CHECK(client.is_there(name(0)) == TMPDUMP_TIMEOUT);
  CHECK(client.is_there("lib/package/subpackage/lib10000.so") == TMPDUMP_NOT_IN_ARCHIVE);
  destination.publish(writer, name(files - 1));
  int found = 0;
  for (int i = 0; i < files; ++i)
    found += client.is_there(name(i)) == TMPDUMP_OK ? 1 : 0;
  CHECK(found == files);
}

TEST_CASE("a caller's older report and its errno are left alone") {
  DestinationFixture destination;
  const auto writer = destination.start();
  Client client(destination);
  struct {
    tmpdump_report report;
    char guard;
  } older{};
  older.report.size = offsetof(tmpdump_report, generation);
  older.report.generation = 77;
  CHECK(tmpdump_client_status(&client.raw(), &older.report) == TMPDUMP_OK);
  CHECK(older.report.state == TMPDUMP_IS_STARTING);
  CHECK(older.report.daemon_alive == 1);
  CHECK(older.report.generation == 77);
  struct {
    tmpdump_report report;
    std::uint64_t newer = 77;
  } newer;
  newer.report.size = sizeof newer;
  CHECK(tmpdump_client_status(&client.raw(), &newer.report) == TMPDUMP_OK);
  CHECK(newer.newer == 0);
  CHECK(tmpdump_client_status(&client.raw(), nullptr) == TMPDUMP_INVALID);
  errno = ERANGE;
  tmpdump_wait_file("/nowhere/at/all", 0);
  CHECK(errno == ERANGE);
  for (int code = -1; code < 12; ++code)
    CHECK(std::string(tmpdump_strerror(code)).size() > 4);
}

// What a function does after its snapshot was restored, when the daemon, its lock and its futexes are of
// another time and place.
TEST_CASE("once all is ready, to wait is to read memory") {
  DestinationFixture destination;
  destination.holds("lib/a.so", library_that_needs({"b.so"}));
  destination.holds("lib/b.so", library_that_needs({}));
  auto writer = destination.start_listed();
  destination.publish(writer, "lib/a.so");
  destination.publish(writer, "lib/b.so");
  writer.ready().value();
  Client client(destination);
  REQUIRE(client.wait(0) == TMPDUMP_OK);
  const std::string path = destination.file("lib/a.so");
  REQUIRE(client.wait_file(path) == TMPDUMP_OK); // the first use is noted, and the manifest mapped

  if (prctl(PR_GET_SECCOMP) < 0) return; // an emulator of user programs has none
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    bool good = client.wait_file(path) == TMPDUMP_OK; // a new process maps it for itself
    if (!allow_only_exit_group()) syscall(SYS_exit_group, 2);
    for (int i = 0; i < 1000 && good; ++i) {
      good = client.wait(-1) == TMPDUMP_OK && client.wait(5'000) == TMPDUMP_OK &&
             client.wait_file(path) == TMPDUMP_OK;
    }
    syscall(SYS_exit_group, good ? 0 : 1);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status)); // SIGSYS: there was a system call
  CHECK(WEXITSTATUS(status) == 0);
}
