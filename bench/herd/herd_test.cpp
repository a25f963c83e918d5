// SPDX-License-Identifier: Apache-2.0
#include "herd/report.h"
#include "support/catch.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>

using namespace tmpdump;
using namespace tmpdump::herd;

namespace {

// A tenth of S3's rate, for a tenth of the starts: the same at a tenth of the work.
Setup of(unsigned starts) {
  Setup setup;
  setup.starts = starts;
  setup.origin.rate /= 10;
  setup.origin.depth /= 10;
  return setup;
}

unsigned refused(const Result& result) {
  unsigned sum = 0;
  for (const auto& outcome : result.outcomes)
    sum += outcome.refused;
  return sum;
}

// What the daemon asks for when nothing goes wrong.
std::size_t planned_requests(const Setup& setup) {
  const auto& workload = setup.workload;
  auto had = fetch::speculative_front();
  for (auto& slice : had) {
    const std::uint64_t tail = workload.size - fetch::tail_length;
    slice.length = std::min(slice.offset + slice.length, std::max(tail, slice.offset)) - slice.offset;
  }
  const std::size_t front = static_cast<std::size_t>(
      std::count_if(had.begin(), had.end(), [](const auto& slice) { return slice.length > 0; }));
  had.push_back({workload.size - fetch::tail_length, fetch::tail_length});
  auto plan = setup.plan;
  plan.connections = setup.connections.value_or(fetch::choose_connections(workload.size, plan.range_size));
  plan.short_chain = 2 * plan.range_size;
  return front + 1 + fetch::plan_ranges(workload.regions, had, plan).size();
}

} // namespace

TEST_CASE("a start alone: every byte once, no more requests than planned, near the link's limit") {
  for (const auto& workload : {face(), torch(), torch_packed()}) {
    INFO(workload.name);
    Setup setup = of(1);
    setup.workload = workload;
    setup.origin.slow_share = 0;
    const auto outcome = simulate(setup).outcomes.at(0);
    REQUIRE(outcome.ready);
    CHECK(outcome.refused == 0);
    CHECK(outcome.hedges == 0);
    CHECK(outcome.requests == planned_requests(setup));
    // What a speculative range brings before it is known that the tail brings it too is no loss of more than
    // that.
    CHECK(outcome.delivered <= workload.size);
    CHECK(outcome.delivered + (64U << 10U) >= workload.size);
    CHECK(outcome.bytes == outcome.delivered);
    const double limit = static_cast<double>(workload.size) / setup.link.burst_rate;
    CHECK(outcome.seconds >= limit + setup.link.set_up + setup.origin.first_byte - 0.001);
    CHECK(outcome.seconds < 3 * limit);
  }
}

TEST_CASE("what is asked for goes by the number of connections, as the daemon plans") {
  Setup setup = of(1);
  setup.origin.slow_share = 0;
  setup.hedge.enabled = false;
  std::set<unsigned> counts;
  for (const unsigned connections : {4U, 5U, 6U, 10U, 16U}) {
    INFO(connections);
    setup.connections = connections;
    const auto outcome = simulate(setup).outcomes.at(0);
    CHECK(outcome.requests == planned_requests(setup));
    counts.insert(outcome.requests);
  }
  CHECK(counts.size() > 1);
}

TEST_CASE("one seed, one result; another seed, another one") {
  Setup setup = of(40);
  const auto times = [&] {
    std::vector<double> out;
    for (const auto& outcome : simulate(setup).outcomes)
      out.push_back(outcome.seconds);
    return out;
  };
  const auto first = times();
  CHECK(times() == first);
  setup.seed = 2;
  CHECK(times() != first);
}

TEST_CASE("below S3's rate nobody is refused, above it nothing is lost but time") {
  SECTION("below") {
    CHECK(refused(simulate(of(10))) == 0);
    Setup slowly = of(60); // 10 a second, some 20 requests each
    slowly.starts_a_second = 10;
    CHECK(refused(simulate(slowly)) == 0);
  }
  SECTION("above") {
    const Setup setup = of(100);
    const auto result = simulate(setup);
    CHECK(refused(result) > 100);
    for (const auto& outcome : result.outcomes) {
      if (outcome.ready) CHECK(outcome.delivered + (64U << 10U) >= setup.workload.size);
      CHECK(outcome.delivered <= setup.workload.size);
      CHECK(outcome.bytes >= outcome.delivered);
    }
  }
}

TEST_CASE("S3 never admits more than its rate, in any window of time") {
  Setup setup = of(100);
  setup.origin.prefixes = 2;
  setup.origin.depth = 100;
  const auto result = simulate(setup);
  REQUIRE(result.admitted.size() == 2);
  std::size_t admitted = 0;
  for (const auto& times : result.admitted) {
    admitted += times.size();
    std::size_t first = 0;
    for (std::size_t last = 0; last < times.size(); ++last) {
      while (times[last] - times[first] > 0.5)
        ++first;
      REQUIRE(static_cast<double>(last - first + 1) <= setup.origin.depth + 0.5 * setup.origin.rate + 1);
    }
  }
  unsigned requests = 0;
  for (const auto& outcome : result.outcomes)
    requests += outcome.requests;
  CHECK(requests >= admitted);
  // A 503 that nobody waits for any more is not counted as one.
  CHECK(requests - admitted >= refused(result));
}

TEST_CASE("more starts are never quicker, more prefixes never slower") {
  double before = 0;
  for (const unsigned starts : {10U, 50U, 100U, 150U}) {
    const double median = figures(simulate(of(starts))).median;
    REQUIRE(median > 0);
    CHECK(median >= before);
    before = median;
  }
  for (const unsigned prefixes : {2U, 4U, 8U}) {
    Setup setup = of(150);
    setup.origin.prefixes = prefixes;
    const double median = figures(simulate(setup)).median;
    CHECK(median <= before);
    before = median;
  }
}

TEST_CASE("a start that is refused for nine seconds gives up, before INIT's ten are over") {
  Setup setup = of(5);
  setup.origin.rate = 0.001;
  setup.origin.depth = 1;
  const auto result = simulate(setup);
  for (const auto& outcome : result.outcomes) {
    CHECK_FALSE(outcome.ready);
    CHECK(outcome.seconds < 9.5);
  }
  const Figures f = figures(result);
  CHECK(f.gave_up == 1);
  CHECK(f.median < 0); // there is none
}

TEST_CASE("README.md's tables are what the simulation says") {
  std::ifstream file(TMPDUMP_HERD_README);
  const std::string readme{std::istreambuf_iterator<char>(file), {}};
  const auto check = [&](const std::string& name, const Setup& setup) {
    const std::string line = row(name, setup, simulate(setup));
    INFO(line);
    CHECK(readme.find("\n" + line + "\n") != std::string::npos);
  };
  Setup setup;
  const std::pair<const char*, unsigned> herds[] = {{"1", 1}, {"10", 10}, {"300", 300}, {"1,000", 1'000}};
  for (const auto& [name, starts] : herds) {
    setup.starts = starts;
    check(name, setup);
  }
  setup.workload = torch_packed();
  check("torch packed", setup);
  setup.workload = face();
  check("face", setup);
}

TEST_CASE("the plot has a line for each herd") {
  const std::string svg = plot({{"few", simulate(of(10))}, {"more", simulate(of(20))}});
  CHECK(svg.find("few") != std::string::npos);
  CHECK(svg.find("more") != std::string::npos);
  std::size_t lines = 0;
  for (auto at = svg.find("<polyline"); at != std::string::npos; at = svg.find("<polyline", at + 1))
    ++lines;
  CHECK(lines == 2);
}
