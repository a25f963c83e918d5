// SPDX-License-Identifier: Apache-2.0
// A manifest that somebody truncates or scribbles over while clients have it mapped and wait: a call is an
// error, never a SIGBUS in the runtime's process, and never a hang.
#include "support/client_fixture.h"

#include <atomic>
#include <chrono>
#include <fcntl.h>
#include <optional>
#include <random>
#include <thread>

using namespace tmpdump;
using test::Client;
using test::DestinationFixture;
using test::library_that_needs;

namespace {

constexpr int patience = 20'000; // ms; what works takes one slice of the liveness check

void truncate(const DestinationFixture& destination, std::uintmax_t size) {
  std::filesystem::resize_file(destination.manifest(), size);
}

bool is_error(int code) {
  return code >= TMPDUMP_NO_DAEMON && code <= TMPDUMP_SYSTEM;
}

// Two libraries that need each other, and enough others that the listing has several pages.
manifest::Writer begin(DestinationFixture& destination) {
  destination.holds("lib/a.so", library_that_needs({"b.so"}));
  destination.holds("lib/b.so", library_that_needs({"a.so"}));
  for (int i = 0; i < 300; ++i)
    destination.holds("lib/other" + std::to_string(i) + ".so", "x");
  return destination.start_listed();
}

} // namespace

TEST_CASE("who sleeps while the manifest is truncated hears that it is damaged") {
  for (const std::uintmax_t size : {0U, 100U, 4096U, 8192U}) {
    DestinationFixture destination;
    auto writer = begin(destination);
    Client client(destination);
    int file = -1, all = -1;
    std::thread waits_for_file([&] { file = client.wait_file("lib/a.so", patience); });
    test::until_wanted(writer, destination.index("lib/a.so"));
    Client other(destination);
    std::thread waits_for_all([&] { all = other.wait(patience); });
    truncate(destination, size);
    waits_for_file.join();
    waits_for_all.join();
    CHECK(is_error(file));
    CHECK(is_error(all));
  }
}

TEST_CASE("whoever attached before it was truncated gets errors afterwards, or what was ready") {
  for (const bool ready : {false, true}) {
    DestinationFixture destination;
    auto writer = begin(destination);
    if (ready) {
      destination.publish_all(writer);
      writer.ready().value();
    } else {
      destination.publish(writer, "lib/b.so");
    }
    Client client(destination);
    REQUIRE(client.is_there("lib/other1.so") == (ready ? TMPDUMP_OK : TMPDUMP_TIMEOUT));
    for (const std::uintmax_t size : {8192U, 4096U, 1U, 0U}) {
      truncate(destination, size);
      for (const std::string name : {"lib/a.so", "lib/b.so", "lib/other2.so", "lib/none.so", "lib"}) {
        for (const auto use : {TMPDUMP_USE_NAME, TMPDUMP_USE_FILE, TMPDUMP_USE_LIST, TMPDUMP_USE_LOAD})
          static_cast<void>(tmpdump_client_wait_use(&client.raw(), name.c_str(), use, 0));
      }
      static_cast<void>(client.status());
      static_cast<void>(client.reason());
      static_cast<void>(client.wait(0));
    }
    // What was seen to be there stays so.
    CHECK((ready ? client.wait(0) == TMPDUMP_OK : is_error(client.wait(0))));
    CHECK((ready ? client.wait_file("lib/other1.so") == TMPDUMP_OK
                 : is_error(client.wait_file("lib/other1.so"))));
    CHECK(is_error(client.wait_file("lib/other3.so", patience)));
    CHECK(is_error(Client(destination).wait(patience)));
  }
}

TEST_CASE("a good manifest in the place of a truncated one is found") {
  DestinationFixture destination;
  std::optional<manifest::Writer> writer = begin(destination);
  Client client(destination);
  REQUIRE(client.is_there("lib/a.so") == TMPDUMP_TIMEOUT);
  truncate(destination, 0);
  REQUIRE(is_error(client.is_there("lib/a.so")));
  writer.reset();
  std::filesystem::remove_all(destination.file(".tmpdump"));
  writer.emplace(destination.start_listed());
  destination.publish_all(*writer);
  CHECK(client.wait_file("lib/a.so", patience) == TMPDUMP_OK);
}

TEST_CASE("scribbling over it, and cutting it, while many wait: each call ends") {
  DestinationFixture destination;
  auto writer = begin(destination);
  destination.publish(writer, "lib/b.so");
  constexpr int threads = 12, rounds = 40;
  constexpr std::size_t patient = 4;
  std::vector<std::thread> waiters;
  // Who has all the time there is must not sleep it away on a word that says nothing any more.
  std::vector<int> heard(patient, TMPDUMP_OK);
  for (std::size_t i = 0; i < patient; ++i) {
    waiters.emplace_back([&, i] {
      Client client(destination);
      heard[i] = i % 2 == 0 ? client.wait_file("lib/a.so", patience) : client.wait(patience);
    });
  }
  test::until_wanted(writer, destination.index("lib/a.so"));
  std::atomic<int> ended{0};
  for (int i = 0; i < threads; ++i) {
    waiters.emplace_back([&, i] {
      Client client(destination);
      for (int round = 0; round < rounds; ++round) {
        static_cast<void>(client.wait_file(i % 2 == 0 ? "lib/a.so" : "lib/other7.so", round % 3));
        static_cast<void>(client.is_there("lib"));
        static_cast<void>(client.status());
        static_cast<void>(client.reason());
        static_cast<void>(client.wait(round % 2));
      }
      ++ended;
    });
  }
  const UniqueFd file(::open(destination.manifest().c_str(), O_RDWR | O_CLOEXEC));
  const auto size = std::filesystem::file_size(destination.manifest());
  std::minstd_rand random(1);
  std::vector<char> noise(size);
  while (ended < threads) {
    for (char& byte : noise)
      byte = static_cast<char>(random());
    const std::size_t at = random() % size;
    if (::pwrite(file.get(), noise.data(), random() % (size - at), static_cast<off_t>(at)) < 0) std::abort();
    if (random() % 4 == 0) {
      truncate(destination, random() % size);
      truncate(destination, size);
    }
  }
  // At the last no word is one of a state that somebody could wait in.
  if (::pwrite(file.get(), noise.data(), size, 0) < 0) std::abort();
  for (auto& waiter : waiters)
    waiter.join();
  for (const int code : heard)
    CHECK(is_error(code)); // within its patience: a time-out is none
}

TEST_CASE("the client keeps no descriptor, and needs none of low number") {
  DestinationFixture destination;
  auto writer = begin(destination);
  destination.publish_all(writer);
  writer.ready().value();
  const auto descriptors = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"),
                         std::filesystem::directory_iterator{});
  };
  const auto before = descriptors();
  Client client(destination);
  CHECK(client.wait_file("lib/a.so", patience) == TMPDUMP_OK);
  CHECK(client.status().files_published == 302);
  CHECK(descriptors() == before);
}
