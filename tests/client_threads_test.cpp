// SPDX-License-Identifier: Apache-2.0
// Hundreds of threads of one process, through all that may happen to a manifest: for ThreadSanitizer above
// all. The library's own client, and the preload shim's, which is linked in here without what it interposes.
#include "support/client_fixture.h"

extern "C" {
#include "preload/shim.h"
}

#include <atomic>
#include <cstdlib>
#include <fcntl.h>
#include <thread>

using namespace tmpdump;
using test::Client;
using test::DestinationFixture;
using test::library_that_needs;

namespace {

constexpr int threads = 300, files = 64, publishers = 4;

std::string name_of(int file) {
  return "lib/l" + std::to_string(file % files);
}

// Publishes in parallel, perhaps starts over in the middle as after a changed object, and gets ready.
void tell_the_story(DestinationFixture& destination, manifest::Writer& writer, bool restarts) {
  for (const bool last : {false, true}) {
    if (!last && !restarts) continue;
    writer.set_listing(last ? "\"2\"" : "\"1\"", destination.listing()).value();
    std::atomic<int> next{0};
    std::vector<std::thread> publishing;
    publishing.reserve(publishers);
    for (int i = 0; i < publishers; ++i) {
      publishing.emplace_back([&] {
        for (int file = next++; file < (last ? files : files / 2); file = next++)
          destination.publish(writer, name_of(file));
      });
    }
    for (auto& thread : publishing)
      thread.join();
    if (!last) writer.restart().value();
  }
  writer.ready().value();
}

void fill(DestinationFixture& destination) {
  for (int i = 0; i < files; ++i)
    destination.holds(name_of(i), library_that_needs({"l" + std::to_string((i + 1) % files)}));
  std::filesystem::create_directories(destination.file("lib"));
}

} // namespace

TEST_CASE("hundreds of threads wait with one client while it is listed, published, restarted and ready") {
  DestinationFixture destination;
  fill(destination);
  auto writer = destination.start();
  Client client(destination);
  std::atomic<int> good{0};
  std::vector<std::thread> waiting;
  waiting.reserve(threads);
  for (int i = 0; i < threads; ++i) {
    waiting.emplace_back([&, i] {
      static_cast<void>(client.is_there(name_of(i + 1)));
      const int code = i % 10 == 0   ? client.wait()
                       : i % 10 == 1 ? tmpdump_client_wait_use(&client.raw(), "lib", TMPDUMP_USE_LIST, -1)
                                     : client.wait_file(name_of(i));
      tmpdump_report report{};
      report.size = sizeof report;
      // "lib" is no entry of its own: who asks for its names when all is there hears that.
      const bool there = code == TMPDUMP_OK || (i % 10 == 1 && code == TMPDUMP_NOT_IN_ARCHIVE);
      good += there && tmpdump_client_status(&client.raw(), &report) == TMPDUMP_OK ? 1 : 0;
      static_cast<void>(client.reason());
    });
  }
  tell_the_story(destination, writer, true);
  for (auto& thread : waiting)
    thread.join();
  CHECK(good == threads);
}

TEST_CASE("hundreds of threads hear of a failure") {
  DestinationFixture destination;
  fill(destination);
  auto writer = destination.start_listed();
  Client client(destination);
  std::atomic<int> told{0};
  std::vector<std::thread> waiting;
  waiting.reserve(threads);
  for (int i = 0; i < threads; ++i) {
    waiting.emplace_back([&, i] {
      const int code = i % 2 == 0 ? client.wait() : client.wait_file(name_of(i));
      told += code == TMPDUMP_FAILED && client.reason() == "gone" ? 1 : 0;
    });
  }
  test::until_wanted(writer, destination.index(name_of(1)));
  writer.fail({Errc::io, "gone"});
  for (auto& thread : waiting)
    thread.join();
  CHECK(told == threads);
}

TEST_CASE("hundreds of threads wait in the preload shim") {
  // It has read TMPDUMP_DEST before main() (tests/client.cmake sets it).
  const char* const place = std::getenv("TMPDUMP_DEST");
  REQUIRE(place != nullptr);
  DestinationFixture destination;
  std::filesystem::remove(place);
  std::filesystem::create_symlink(destination.path(), place);
  fill(destination);
  auto writer = destination.start();
  std::atomic<int> there{0};
  std::vector<std::thread> waiting;
  waiting.reserve(threads);
  for (int i = 0; i < threads; ++i) {
    waiting.emplace_back([&, i] {
      const std::string path = std::string(place) + "/" + name_of(i);
      tmpdump_shim_await(AT_FDCWD, path.c_str(), i % 2 == 0 ? TMPDUMP_USE_FILE : TMPDUMP_USE_LOAD);
      if (i % 3 == 0) tmpdump_shim_moved();
      tmpdump_shim_await(AT_FDCWD, name_of(i).c_str(), TMPDUMP_USE_FILE); // relative: elsewhere
      there += ::access(path.c_str(), R_OK) == 0 ? 1 : 0;
    });
  }
  tell_the_story(destination, writer, false);
  for (auto& thread : waiting)
    thread.join();
  CHECK(there == threads);
  std::filesystem::remove(place);
}
