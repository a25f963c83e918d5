// SPDX-License-Identifier: Apache-2.0
// Prints the tables of README.md: bench_herd [--seed N] [--svg FILE]
#include "herd/report.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

using namespace tmpdump;
using namespace tmpdump::herd;

namespace {

constexpr std::uint64_t mib = 1U << 20U;
std::uint64_t seed = 1;

Setup of(unsigned starts) {
  Setup setup;
  setup.starts = starts;
  setup.seed = seed;
  return setup;
}

void heading(const char* title, const char* what) {
  std::printf("\n### %s\n\n| %s | ready: median | 99 %% | slowest | gave up | GETs | 503s | hedges | GETs, $ "
              "| INIT, $ |\n"
              "|---|---|---|---|---|---|---|---|---|---|\n",
              title, what);
}

Result show(const std::string& name, const Setup& setup, bool express = false) {
  Result result = simulate(setup);
  std::printf("%s\n", row(name, setup, result, express).c_str());
  static_cast<void>(std::fflush(stdout));
  return result;
}

std::string grouped(unsigned number) {
  return number < 1000 ? std::to_string(number)
                       : std::to_string(number / 1000) + "," + std::to_string(1000 + number % 1000).substr(1);
}

std::vector<std::pair<std::string, Result>> herds() {
  std::vector<std::pair<std::string, Result>> lines;
  heading("How many at once", "starts within 0.1 s, torch");
  for (const unsigned starts : {1U, 10U, 100U, 300U, 1'000U, 2'000U, 3'000U, 10'000U}) {
    Result result = show(grouped(starts), of(starts));
    if (starts == 10 || starts >= 300) lines.emplace_back(grouped(starts) + " starts", std::move(result));
  }
  return lines;
}

void archives() {
  heading("Which archive", "1,000 starts within 0.1 s");
  for (const auto& workload : {face(), torch_packed(), torch()}) {
    Setup setup = of(1'000);
    setup.workload = workload;
    show(workload.name, setup);
  }
}

void lambda() {
  heading("As Lambda scales one function: 1,000 environments in 10 s", "torch");
  Setup setup = of(10'000);
  setup.spread = 0.01;
  setup.starts_a_second = 100;
  show("10,000 starts, one after another at 100 a second", setup);
  setup.starts_a_second = 1'000;
  show("10,000 starts at 1,000 a second: ten functions, one prefix", setup);
  setup.origin.prefixes = 10;
  show("the same, a prefix for each function", setup);
}

void ranges() {
  for (const unsigned starts : {1U, 1'000U, 2'000U}) {
    heading(("Range size, " + grouped(starts) + (starts == 1 ? " start" : " starts")).c_str(), "MiB");
    for (const std::uint64_t size : {4U, 8U, 16U, 32U}) {
      Setup setup = of(starts);
      setup.plan.range_size = size * mib;
      show(std::to_string(size), setup);
    }
  }
}

void jitter() {
  for (const unsigned starts : {1'000U, 2'000U}) {
    heading(("Jitter, " + grouped(starts) + " starts").c_str(), "wait before asking again");
    const std::pair<const char*, Jitter> kinds[] = {{"full jitter (the daemon's)", Jitter::full},
                                                    {"equal jitter", Jitter::equal},
                                                    {"none", Jitter::none}};
    for (const auto& [name, kind] : kinds) {
      Setup setup = of(starts);
      setup.jitter = kind;
      show(std::string(name) + ", 100 ms to 2 s", setup);
    }
    for (const int base : {25, 50, 200, 400}) {
      Setup setup = of(starts);
      setup.retry.base = fetch::milliseconds(base);
      show("full jitter, " + std::to_string(base) + " ms to 2 s", setup);
    }
    for (const int cap : {1'000, 4'000}) {
      Setup setup = of(starts);
      setup.retry.cap = fetch::milliseconds(cap);
      show("full jitter, 100 ms to " + std::to_string(cap / 1000) + " s", setup);
    }
  }
}

void habits() {
  for (const unsigned starts : {1U, 1'000U, 2'000U}) {
    heading(("What else a start does, " + grouped(starts) + (starts == 1 ? " start" : " starts")).c_str(),
            "how");
    show("as the daemon", of(starts));
    Setup setup = of(starts);
    setup.hedge_in_backoff = !setup.hedge_in_backoff;
    show(setup.hedge_in_backoff ? "hedges also while a refused range waits to ask again"
                                : "no hedge while a refused range waits to ask again",
         setup);
    setup = of(starts);
    setup.hedge.enabled = false;
    show("no hedges at all", setup);
    setup = of(starts);
    setup.speculate = false;
    show("the tail first, nothing beside it", setup);
    for (const unsigned connections : {2U, 4U, 10U}) {
      setup = of(starts);
      setup.connections = connections;
      show(std::to_string(connections) + " connections", setup);
    }
  }
}

void places() {
  heading("Several prefixes", "starts, prefixes");
  const std::pair<unsigned, unsigned> cases[] = {{1'000, 2},  {1'000, 4},  {1'000, 8},   {3'000, 4},
                                                 {3'000, 12}, {10'000, 8}, {10'000, 16}, {10'000, 40}};
  for (const auto& [starts, prefixes] : cases) {
    Setup setup = of(starts);
    setup.origin.prefixes = prefixes;
    show(grouped(starts) + ", " + std::to_string(prefixes), setup);
  }
  heading("S3 Express One Zone: 200,000 GET/s a bucket, first byte after 5 ms", "starts");
  for (const unsigned starts : {1U, 1'000U, 10'000U}) {
    Setup setup = of(starts);
    setup.origin = {.rate = 200'000, .depth = 200'000, .first_byte = 0.005, .slow_first_byte = 0.030};
    show(grouped(starts), setup, true);
  }
}

void unknowns() {
  heading("What is not known of S3: how much it admits at once; 1,000 starts",
          "requests at once after a pause");
  for (const double depth : {1.0, 550.0, 5'500.0, 11'000.0, 55'000.0}) {
    Setup setup = of(1'000);
    setup.origin.depth = depth;
    show(grouped(static_cast<unsigned>(depth)), setup);
  }
}

} // namespace

int main(int argc, char** argv) {
  std::string svg;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string option = argv[i];
    if (option == "--seed") {
      seed = std::strtoull(argv[i + 1], nullptr, 10);
    } else if (option == "--svg") {
      svg = argv[i + 1];
    } else {
      argc = 0;
    }
  }
  if (argc % 2 == 0) {
    static_cast<void>(std::fprintf(stderr, "usage: bench_herd [--seed N] [--svg FILE]\n"));
    return 2;
  }
  const auto lines = herds();
  if (!svg.empty()) {
    std::ofstream file(svg);
    file << plot(lines);
    if (!file.flush()) {
      static_cast<void>(std::fprintf(stderr, "bench_herd: cannot write %s\n", svg.c_str()));
      return 1;
    }
  }
  archives();
  lambda();
  ranges();
  jitter();
  habits();
  places();
  unknowns();
  return 0;
}
