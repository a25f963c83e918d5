// SPDX-License-Identifier: Apache-2.0
#include "herd/simulation.h"

#include "herd/start.h"

namespace tmpdump::herd {

namespace {

struct File {
  std::uint64_t compressed, size;
};

// What lies between the large files, as one region.
struct Rest {
  std::uint64_t files, compressed, size;
};

// Small files first, as far as it matters: the plan begins with what takes long to decode.
Workload of(std::string name, const std::vector<File>& large, Rest rest, std::uint64_t size) {
  Workload out;
  out.name = std::move(name);
  out.size = size;
  std::uint64_t at = 0;
  const auto add = [&](std::uint64_t compressed, std::uint64_t cost) {
    out.regions.push_back({at, at + compressed, cost});
    at += compressed;
  };
  for (std::uint64_t i = 0; i < rest.files; ++i)
    add(rest.compressed / rest.files, rest.size / rest.files);
  for (const auto& file : large)
    add(file.compressed, file.size);
  return out;
}

// Compressed and unpacked bytes of all files above 0.9 MB of bench/workloads.py's archives.
const std::vector<File> face_files{{1026157, 2911456},   {3662494, 23970832}, {986457, 4081296},
                                   {10043763, 33753064}, {1062997, 2578992},  {1795680, 4667840},
                                   {2645368, 7142512},   {1473069, 3756440},  {2525693, 6622896},
                                   {1442589, 2108656},   {1643593, 2863312}};

std::vector<File> torch_files() {
  auto files = face_files;
  files.push_back({7532422, 28224776});
  files.push_back({75125819, 315190816});
  return files;
}

} // namespace

Workload face() {
  return of("face", face_files, {120, 9'330'000, 30'496'190}, 37'669'939);
}

Workload torch() {
  return of("torch", torch_files(), {125, 9'910'000, 32'213'550}, 120'916'335);
}

// tmpdump pack's default: segments of 10 MiB that decode independently, zstd.
Workload torch_packed() {
  constexpr std::uint64_t segment = 10U << 20U;
  std::vector<File> parts;
  for (const auto& file : torch_files()) {
    for (std::uint64_t at = 0; at < file.size; at += segment) {
      const std::uint64_t size = std::min(segment, file.size - at);
      parts.push_back(
          {size * file.compressed / file.size * 706 / 1000, size}); // bench/results/2026-11-26-pack.md
    }
  }
  std::uint64_t size = 7'036'000 + (64U << 10U);
  for (const auto& part : parts)
    size += part.compressed;
  Workload out = of("torch packed", parts, {125, 7'036'000, 32'213'550}, size);
  out.decode_rate = 1900e6;
  return out;
}

Result simulate(const Setup& setup) {
  Events events;
  std::vector<Throttle> throttles(setup.origin.prefixes, Throttle(setup.origin.rate, setup.origin.depth));
  std::vector<std::unique_ptr<Start>> starts;
  starts.reserve(setup.starts);
  for (unsigned i = 0; i < setup.starts; ++i) {
    Chance chance(setup.seed, 2ULL * i);
    auto& throttle = throttles[chance.below(setup.origin.prefixes)];
    double when = chance.unit() * setup.spread;
    if (setup.starts_a_second > 0) when += static_cast<double>(i) / setup.starts_a_second;
    starts.push_back(std::make_unique<Start>(setup, events, throttle, i));
    events.at(when, [start = starts.back().get()] { start->begin(); });
  }
  events.run();
  Result out;
  out.outcomes.reserve(starts.size());
  for (const auto& start : starts)
    out.outcomes.push_back(start->outcome());
  for (auto& throttle : throttles)
    out.admitted.push_back(std::move(throttle.admitted));
  return out;
}

} // namespace tmpdump::herd
