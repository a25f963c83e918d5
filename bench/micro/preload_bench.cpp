// SPDX-License-Identifier: Apache-2.0
// What the preload shim costs a call on a path that is not the archive's, and the exec wrapper a start:
//   bench_preload SHIM EXEC_WRAPPER
// With and without take turns, so that what else the machine does meets both. Each line: median (5th to 95th
// percentile) over the rounds; on a busy machine the difference of the 5th percentiles says more.
#include "manifest/writer.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <string>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

using namespace tmpdump;

namespace {

constexpr int rounds = 300;
constexpr int calls = 2000;
constexpr int starts = 200;
constexpr const char* names[] = {"stat, absolute", "stat, relative", "access, absolute"};
constexpr std::size_t kinds = std::size(names);

double now_ns() {
  return static_cast<double>(std::chrono::steady_clock::now().time_since_epoch().count());
}

void require(bool holds, const char* what) {
  if (holds) return;
  static_cast<void>(std::fprintf(stderr, "preload_bench: %s: the answer is wrong, so is the time\n", what));
  std::exit(1);
}

double at(std::vector<double> times, double part) {
  std::sort(times.begin(), times.end());
  return times[static_cast<std::size_t>(part * static_cast<double>(times.size() - 1))];
}

void report(const char* what, const std::vector<double>& times, const char* unit, double scale) {
  std::printf("%-44s %9.2f %s (%.2f to %.2f)\n", what, at(times, 0.5) / scale, unit, at(times, 0.05) / scale,
              at(times, 0.95) / scale);
}

void compare(const std::string& what, const std::vector<double>& without, const std::vector<double>& with,
             const char* unit, double scale) {
  report((what + ", without").c_str(), without, unit, scale);
  report((what + ", with").c_str(), with, unit, scale);
  std::printf("%-44s %9.2f %s (of the 5th percentiles: %.2f)\n\n", "  more",
              (at(with, 0.5) - at(without, 0.5)) / scale, unit, (at(with, 0.05) - at(without, 0.05)) / scale);
}

int call(std::size_t kind) {
  struct stat status {};
  switch (kind) {
  case 0:
    return ::stat("/usr/lib/nothing/of/this/name.so", &status);
  case 1:
    return ::stat("nothing/of/this/name.so", &status);
  default:
    return ::access("/usr/lib/nothing/of/this/name.so", F_OK);
  }
}

// In a process of its own, with or without the shim: ns a call of each kind, to `out`. Lives through all
// rounds; each begins with a byte on its input.
int measure() {
  struct stat status {};
  const char* const destination = std::getenv("TMPDUMP_DEST");
  require(destination != nullptr, "TMPDUMP_DEST");
  require(::stat((std::string(destination) + "/none").c_str(), &status) != 0, "attach");
  char turn = 0;
  while (::read(STDIN_FILENO, &turn, 1) == 1) {
    double times[kinds];
    for (std::size_t kind = 0; kind < kinds; ++kind) {
      const double begin = now_ns();
      for (int i = 0; i < calls; ++i)
        require(call(kind) != 0, names[kind]);
      times[kind] = (now_ns() - begin) / calls;
    }
    require(::write(STDOUT_FILENO, times, sizeof times) == sizeof times, "answer");
  }
  return 0;
}

struct Child {
  int to = -1, from = -1;
  pid_t pid = -1;
  explicit Child(const char* preload) {
    int down[2], up[2];
    require(::pipe2(down, O_CLOEXEC) == 0 && ::pipe2(up, O_CLOEXEC) == 0, "pipe");
    pid = ::fork();
    if (pid == 0) {
      ::dup2(down[0], STDIN_FILENO);
      ::dup2(up[1], STDOUT_FILENO);
      if (preload != nullptr) ::setenv("LD_PRELOAD", preload, 1);
      ::execl("/proc/self/exe", "preload_bench", "measure", static_cast<char*>(nullptr));
      ::_exit(1);
    }
    ::close(down[0]);
    ::close(up[1]);
    to = down[1];
    from = up[0];
  }
  ~Child() {
    ::close(to);
    ::waitpid(pid, nullptr, 0);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  void turn(std::vector<double>* into) const {
    double times[kinds];
    require(::write(to, "t", 1) == 1 && ::read(from, times, sizeof times) == sizeof times, "turn");
    for (std::size_t kind = 0; kind < kinds; ++kind)
      into[kind].push_back(times[kind]);
  }
};

void elsewhere(const char* shim) {
  std::vector<double> without[kinds], with[kinds];
  const Child plain(nullptr), preloaded(shim);
  for (int round = 0; round < rounds; ++round) {
    plain.turn(without);
    preloaded.turn(with);
  }
  for (std::size_t kind = 0; kind < kinds; ++kind)
    compare(names[kind], without[kind], with[kind], "ns", 1);
}

// From here to the end of a program that does nothing.
double start(const char* const* command) {
  const double begin = now_ns();
  // NOLINTNEXTLINE(clang-analyzer-security.insecureAPI.vfork): fork's cost would hide what is measured
  const pid_t pid = ::vfork();
  if (pid == 0) {
    ::execv(command[0], const_cast<char* const*>(command));
    ::_exit(127);
  }
  int status = 1;
  ::waitpid(pid, &status, 0);
  require(status == 0, command[0]);
  return now_ns() - begin;
}

void wrapping(const char* wrapper) {
  ::setenv("TMPDUMP_WAIT", "none", 1); // what the shim adds to a start is the loader's time, seen below
  const char* const plain[] = {"/bin/true", nullptr};
  const char* const wrapped[] = {wrapper, "/bin/true", nullptr};
  std::vector<double> without, with, lazy;
  for (int i = -10; i < starts; ++i) {
    const double one = start(plain), other = start(wrapped);
    ::setenv("TMPDUMP_WAIT", "lazy", 1);
    const double third = start(wrapped);
    ::setenv("TMPDUMP_WAIT", "none", 1);
    if (i < 0) continue;
    without.push_back(one);
    with.push_back(other);
    lazy.push_back(third);
  }
  compare("a start, the wrapper alone", without, with, "us", 1000);
  compare("a start, the wrapper and the shim", without, lazy, "us", 1000);
}

} // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::string(argv[1]) == "measure") return measure();
  if (argc != 3) {
    static_cast<void>(std::fprintf(stderr, "usage: bench_preload SHIM EXEC_WRAPPER\n"));
    return 2;
  }
  std::string destination = (std::filesystem::temp_directory_path() / "tmpdump-bench-XXXXXX").string();
  require(::mkdtemp(destination.data()) != nullptr, "mkdtemp");
  ::setenv("TMPDUMP_DEST", destination.c_str(), 1);
  {
    auto writer = manifest::Writer::create(destination, "").value();
    const std::vector<manifest::ListedEntry> listing{
        {.path = "lib/libx.so", .kind = zip::Kind::file, .mode = 0644, .size = 1, .crc = 0}};
    writer.set_listing("", listing).value();
    elsewhere(argv[1]);
    wrapping(argv[2]);
  }
  std::filesystem::remove_all(destination);
  return 0;
}
