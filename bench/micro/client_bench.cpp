// SPDX-License-Identifier: Apache-2.0
// What waiting costs the runtime, and publishing the daemon. Each line: median (5th to 95th percentile) over
// the rounds. Every timed call's answer is checked.
#include "internal.h"
#include "manifest/futex.h"
#include "manifest/writer.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

using namespace tmpdump;

namespace {

double now_ns() {
  return static_cast<double>(std::chrono::steady_clock::now().time_since_epoch().count());
}

void require(bool holds, const char* what) {
  if (holds) return;
  static_cast<void>(std::fprintf(stderr, "client_bench: %s: the answer is wrong, so is the time\n", what));
  std::exit(1);
}

void report(const char* what, std::vector<double> times, const char* unit, double scale) {
  std::sort(times.begin(), times.end());
  const auto at = [&](double part) {
    return times[static_cast<std::size_t>(part * static_cast<double>(times.size() - 1))] / scale;
  };
  std::printf("%-62s %9.2f %s (%.2f to %.2f)\n", what, at(0.5), unit, at(0.05), at(0.95));
}

// ns a call; the first tenth of the rounds warms up and is thrown away.
std::vector<double> time_calls(int rounds, int calls, const std::function<void(int)>& call) {
  std::vector<double> times;
  for (int round = -rounds / 10; round < rounds; ++round) {
    const double begin = now_ns();
    for (int i = 0; i < calls; ++i)
      call(i);
    if (round >= 0) times.push_back((now_ns() - begin) / calls);
  }
  return times;
}

struct Archive {
  std::string destination;
  std::vector<manifest::ListedEntry> listing;

  explicit Archive(int files) {
    std::string name = (std::filesystem::temp_directory_path() / "tmpdump-bench-XXXXXX").string();
    require(::mkdtemp(name.data()) != nullptr, "mkdtemp");
    destination = name;
    std::filesystem::create_directory(destination + "/lib");
    for (int i = 0; i < files; ++i) {
      listing.push_back({.path = "lib/libnative_component_" + std::to_string(i) + ".so.1.5.11",
                         .kind = zip::Kind::file,
                         .mode = 0644,
                         .size = 1,
                         .crc = 0});
      std::ofstream(path(i)) << 'x';
    }
  }
  ~Archive() { std::filesystem::remove_all(destination); }
  Archive(const Archive&) = delete;
  Archive& operator=(const Archive&) = delete;
  [[nodiscard]] std::string path(int i) const {
    return destination + "/" + listing[static_cast<std::size_t>(i)].path;
  }
  [[nodiscard]] int size() const { return static_cast<int>(listing.size()); }
};

void publish_all(manifest::Writer& writer, const Archive& archive) {
  for (int i = 0; i < archive.size(); ++i)
    require(writer.publish(static_cast<std::uint32_t>(i)).has_value(), "publish");
}

void ready_files(int files, const char* what) {
  const Archive archive(files);
  auto writer = manifest::Writer::create(archive.destination, "").value();
  writer.set_listing("", archive.listing).value();
  publish_all(writer, archive);
  std::vector<std::string> paths;
  paths.reserve(static_cast<std::size_t>(files));
  for (int i = 0; i < files; ++i)
    paths.push_back(archive.path(i));
  tmpdump_client client{.destination = archive.destination.c_str(), .current = nullptr};
  const auto wait = [&](const char* path) { return tmpdump_client_wait_file(&client, path, 1000); };
  if (files <= 1000) { // the kernel is asked whether there is a later daemon
    report("wait_file, the file is there, others are still coming",
           time_calls(50, 10000,
                      [&](int i) {
                        require(wait(paths[static_cast<std::size_t>(i % files)].c_str()) == TMPDUMP_OK,
                                "there");
                      }),
           "ns", 1);
  }
  require(writer.ready().has_value(), "ready");
  report(what,
         time_calls(200, 10000,
                    [&](int i) {
                      require(wait(paths[static_cast<std::size_t>(i % files)].c_str()) == TMPDUMP_OK, what);
                    }),
         "ns", 1);
  if (files > 1000) return;
  report("the same for a name that the archive does not hold",
         time_calls(200, 10000,
                    [&](int) { require(wait("lib/libnone.so.1") == TMPDUMP_NOT_IN_ARCHIVE, "not held"); }),
         "ns", 1);
  report(
      "the same for a library of the system",
      time_calls(200, 10000,
                 [&](int) { require(wait("/usr/lib64/libc.so.6") == TMPDUMP_NOT_IN_ARCHIVE, "not ours"); }),
      "ns", 1);
  tmpdump_client_release(&client);
  report("first call of a process: open, check, map",
         time_calls(500, 1,
                    [&](int) {
                      require(wait(paths[0].c_str()) == TMPDUMP_OK, "first call");
                      tmpdump_client_release(&client);
                    }),
         "us", 1000);
}

void publishing() {
  const Archive archive(1000);
  auto writer = manifest::Writer::create(archive.destination, "").value();
  writer.set_listing("", archive.listing).value();
  std::vector<double> times;
  for (int i = 0; i < archive.size(); ++i) {
    const double begin = now_ns();
    require(writer.publish(static_cast<std::uint32_t>(i)).has_value(), "publish");
    times.push_back(now_ns() - begin);
  }
  report("publish, nobody waits (looks at the file, wakes two words)", times, "us", 1000);
  const manifest::Directories directories = manifest::open_directories(archive.destination).value();
  const auto mapped = manifest::map_manifest(directories.own.get(), TMPDUMP_MANIFEST_NAME, false).value();
  report("of that, waking one word that nobody waits for",
         time_calls(200, 1000, [&](int) { manifest::futex_wake_all(&mapped.view.header->state); }), "ns", 1);
}

// The waiter is asleep in another process when its file is published.
void waking() {
  const Archive archive(500);
  auto writer = manifest::Writer::create(archive.destination, "").value();
  writer.set_listing("", archive.listing).value();
  const std::size_t size = sizeof(double) * archive.listing.size();
  void* shared = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  require(shared != MAP_FAILED, "mmap");
  auto* woken = static_cast<double*>(shared);
  const pid_t waiter = ::fork();
  if (waiter == 0) {
    tmpdump_client client{.destination = archive.destination.c_str(), .current = nullptr};
    for (int i = 0; i < archive.size(); ++i) {
      if (tmpdump_client_wait_file(&client, archive.path(i).c_str(), -1) != TMPDUMP_OK) ::_exit(1);
      woken[i] = now_ns();
    }
    ::_exit(0);
  }
  std::vector<double> called;
  for (int i = 0; i < archive.size(); ++i) {
    while (!writer.wanted(static_cast<std::uint32_t>(i)))
      ::usleep(50);
    ::usleep(300); // wanted is noted a little before the sleep begins
    called.push_back(now_ns());
    require(writer.publish(static_cast<std::uint32_t>(i)).has_value(), "publish");
  }
  int status = 1;
  ::waitpid(waiter, &status, 0);
  require(status == 0, "waiter");
  const auto reader = manifest::Reader::open(archive.destination).value();
  std::vector<double> from_call, from_store;
  for (int i = archive.size() / 10; i < archive.size(); ++i) {
    const auto index = static_cast<std::size_t>(i);
    from_call.push_back(woken[i] - called[index]);
    from_store.push_back(
        woken[i] - static_cast<double>(reader.entry(static_cast<std::uint32_t>(i)).value().published_ns));
  }
  report("publish() called -> waiter in another process runs", from_call, "us", 1000);
  report("published word stored -> waiter in another process runs", from_store, "us", 1000);
  ::munmap(shared, size);
}

} // namespace

int main() {
  ready_files(140, "wait_file, ready, 140 files");
  ready_files(10000, "wait_file, ready, 10,000 files in turn");
  publishing();
  waking();
  return 0;
}
