// SPDX-License-Identifier: Apache-2.0
// Daemons in processes of their own, and how they end.
#include "support/client_fixture.h"

#include <atomic>
#include <chrono>
#include <csignal>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <thread>

using namespace tmpdump;
using test::Client;
using test::DestinationFixture;
using test::library_that_needs;
using test::Process;

namespace {

using Clock = std::chrono::steady_clock;

constexpr int far_away_ms = 60'000;     // whose own limit ends the wait has not heard of the death
constexpr std::chrono::seconds soon{5}; // promised: 0.1; a machine may be busy

void put_two_files(DestinationFixture& destination) {
  destination.holds("lib/a.so", library_that_needs({"b.so"}));
  destination.holds("lib/b.so", library_that_needs({}));
}

// Publishes a, tells, and then b at each cue's word.
Process daemon_that_waits_before_b(const DestinationFixture& destination) {
  return Process([&](const Process::Cues& cues) {
    auto writer = destination.start_listed();
    destination.publish(writer, "lib/a.so");
    cues.tell();
    if (!cues.hear()) return 1;
    destination.publish(writer, "lib/b.so");
    return writer.ready().has_value() ? 0 : 1;
  });
}

void until_somebody_wants(const DestinationFixture& destination, const std::string& name) {
  const auto reader = manifest::Reader::open(destination.path()).value();
  while (reader.entry(destination.index(name)).value().first_wait_ns == 0)
    ::sched_yield();
}

} // namespace

TEST_CASE("a daemon in another process wakes the waiter, and may end afterwards") {
  DestinationFixture destination;
  put_two_files(destination);
  Process daemon = daemon_that_waits_before_b(destination);
  REQUIRE(daemon.cues().hear());
  Client client(destination);
  std::atomic<int> code{-1};
  std::thread waiter([&] { code = client.wait_file(destination.file("lib/a.so")); });
  until_somebody_wants(destination, "lib/b.so");
  daemon.cues().tell();
  waiter.join();
  CHECK(code == TMPDUMP_OK);
  CHECK(daemon.result() == 0);
  CHECK(client.wait() == TMPDUMP_OK);
  CHECK(Client(destination).wait_file("lib/b.so") == TMPDUMP_OK);
  CHECK(client.status().daemon_alive == 0);
}

TEST_CASE("64 threads learn of the daemon's death, and what was published stays good") {
  DestinationFixture destination;
  put_two_files(destination);
  Process daemon = daemon_that_waits_before_b(destination);
  REQUIRE(daemon.cues().hear());
  Client client(destination);
  std::atomic<int> died{0};
  std::vector<std::thread> waiters;
  waiters.reserve(64);
  for (int i = 0; i < 64; ++i) {
    waiters.emplace_back([&, i] {
      const int code = i % 2 == 0 ? client.wait(far_away_ms) : client.wait_file("lib/a.so", far_away_ms);
      died += code == TMPDUMP_DAEMON_DIED ? 1 : 0;
    });
  }
  until_somebody_wants(destination, "lib/b.so");
  const auto killed = Clock::now();
  daemon.kill();
  for (std::thread& waiter : waiters)
    waiter.join();
  CHECK(Clock::now() - killed < soon);
  CHECK(died == 64);
  CHECK(client.wait() == TMPDUMP_DAEMON_DIED); // at once from now on
  CHECK(client.wait_file("lib/b.so", 0) == TMPDUMP_DAEMON_DIED);
  CHECK(client.wait_file("lib/c.so") == TMPDUMP_NOT_IN_ARCHIVE);
}

TEST_CASE("a daemon killed before it knew anything") {
  DestinationFixture destination;
  Process daemon([&](const Process::Cues& cues) {
    const auto writer = destination.start();
    cues.tell();
    return cues.hear() ? 0 : 1;
  });
  REQUIRE(daemon.cues().hear());
  Client client(destination);
  CHECK(client.wait(0) == TMPDUMP_TIMEOUT);
  const auto killed = Clock::now();
  daemon.kill();
  CHECK(client.wait(far_away_ms) == TMPDUMP_DAEMON_DIED);
  CHECK(client.wait_file("a", far_away_ms) == TMPDUMP_DAEMON_DIED);
  CHECK(Clock::now() - killed < soon);
}

TEST_CASE("the next daemon takes the waiters over, and keeps the files") {
  DestinationFixture destination;
  put_two_files(destination);
  {
    Process killed = daemon_that_waits_before_b(destination);
    REQUIRE(killed.cues().hear());
    killed.kill();
  }
  Client client(destination);
  CHECK(client.wait_file("lib/a.so", 0) == TMPDUMP_DAEMON_DIED);
  Process next([&](const Process::Cues& cues) {
    auto writer = destination.start();
    cues.tell();
    if (!cues.hear()) return 1;
    if (writer.set_listing("\"e1\"", destination.listing()).value().size() != 1) return 2; // a is kept
    cues.tell();
    if (!cues.hear()) return 3;
    destination.publish(writer, "lib/b.so");
    return writer.ready().has_value() ? 0 : 4;
  });
  REQUIRE(next.cues().hear());
  std::atomic<int> code{-1};
  std::thread waiter([&] { code = client.wait_file("lib/a.so"); });
  next.cues().tell();
  REQUIRE(next.cues().hear());
  until_somebody_wants(destination, "lib/b.so");
  next.cues().tell();
  waiter.join();
  CHECK(code == TMPDUMP_OK);
  CHECK(next.result() == 0);
}

TEST_CASE("a manifest whose successor could not tell it is noticed by its name") {
  DestinationFixture destination;
  put_two_files(destination);
  auto writer = destination.start_listed();
  Client client(destination);
  CHECK(client.wait_file("lib/a.so", 0) == TMPDUMP_TIMEOUT);
  // Hidden from the restart, so that nothing marks the mapped one.
  const std::string hidden = destination.file(".tmpdump/hidden");
  std::filesystem::rename(destination.manifest(), hidden);
  writer.restart().value();
  writer.set_listing("", destination.listing()).value();
  destination.publish_all(writer);
  CHECK(client.wait_file("lib/a.so") == TMPDUMP_OK);
}

TEST_CASE("a program that the daemon started does not hold its lock") {
  DestinationFixture destination;
  void* shared = ::mmap(nullptr, sizeof(pid_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  REQUIRE(shared != MAP_FAILED);
  auto& program = *static_cast<pid_t*>(shared);
  Process daemon([&](const Process::Cues& cues) {
    const auto writer = destination.start();
    int closed_by_exec[2];
    if (::pipe2(closed_by_exec, O_CLOEXEC) != 0) return 1;
    const pid_t started = ::fork();
    if (started == 0) {
      ::execlp("sleep", "sleep", "1000", static_cast<char*>(nullptr));
      ::_exit(1);
    }
    if (started < 0) return 1;
    program = started; // by this side alone: the child would write 0
    ::close(closed_by_exec[1]);
    char none = 0;
    if (::read(closed_by_exec[0], &none, 1) != 0) return 1;
    cues.tell();
    return cues.hear() ? 0 : 1;
  });
  REQUIRE(daemon.cues().hear());
  Client client(destination);
  CHECK(client.status().daemon_alive == 1);
  daemon.kill();
  REQUIRE(program > 1); // 0 and -1 are not one process
  REQUIRE(::kill(program, 0) == 0);
  CHECK(client.wait(5000) == TMPDUMP_DAEMON_DIED); // a limit, so that a failure leaves no program behind
  ::kill(program, SIGKILL);
  ::munmap(shared, sizeof(pid_t));
}

TEST_CASE("a forked child goes on waiting with what it inherited") {
  DestinationFixture destination;
  put_two_files(destination);
  auto writer = destination.start_listed();
  destination.publish(writer, "lib/a.so");
  Client client(destination);
  CHECK(client.wait_file("lib/a.so", 0) == TMPDUMP_TIMEOUT);
  // The child is forked while another thread is in the middle of a wait.
  std::thread waiter([&] { client.wait_file("lib/a.so"); });
  Process child([&](const Process::Cues& cues) {
    cues.tell();
    return client.wait_file("lib/a.so") == TMPDUMP_OK && client.wait_file("lib/b.so") == TMPDUMP_OK ? 0 : 1;
  });
  REQUIRE(child.cues().hear());
  destination.publish(writer, "lib/b.so");
  waiter.join();
  CHECK(child.result() == 0);
}

TEST_CASE("a user who may only read the manifest waits on it all the same") {
  if (::geteuid() != 0) return; // takes root to become somebody else
  DestinationFixture destination;
  put_two_files(destination);
  auto writer = destination.start_listed();
  // As it never is by itself; a read-only mount looks the same to a reader.
  REQUIRE(::chmod(destination.file(".tmpdump").c_str(), 0755) == 0);
  Process reader([&](const Process::Cues& cues) {
    if (::setresuid(65534, 65534, 65534) != 0) return 1;
    Client client(destination);
    if (client.wait_file("lib/a.so", 0) != TMPDUMP_TIMEOUT) return 2;
    if (client.raw().current->writable) return 3;
    cues.tell();
    return client.wait_file("lib/a.so") == TMPDUMP_OK && client.wait() == TMPDUMP_OK ? 0 : 4;
  });
  REQUIRE(reader.cues().hear());
  destination.publish_all(writer);
  writer.ready().value();
  CHECK(reader.result() == 0);
}

TEST_CASE("signals that interrupt every sleep do not hide the daemon's death") {
  DestinationFixture destination;
  Process daemon([&](const Process::Cues& cues) {
    const auto writer = destination.start();
    cues.tell();
    return cues.hear() ? 0 : 1;
  });
  REQUIRE(daemon.cues().hear());
  Process waiter([&](const Process::Cues& cues) {
    struct sigaction action {};
    action.sa_handler = [](int) {}; // without SA_RESTART, as a profiler's
    ::sigaction(SIGALRM, &action, nullptr);
    const itimerval often{.it_interval = {0, 5000}, .it_value = {0, 5000}};
    ::setitimer(ITIMER_REAL, &often, nullptr);
    Client client(destination);
    if (client.wait(20) != TMPDUMP_TIMEOUT) return 1;
    cues.tell();
    return client.wait(far_away_ms) == TMPDUMP_DAEMON_DIED ? 0 : 2;
  });
  REQUIRE(waiter.cues().hear());
  const auto killed = Clock::now();
  daemon.kill();
  CHECK(waiter.result() == 0);
  CHECK(Clock::now() - killed < soon);
}
