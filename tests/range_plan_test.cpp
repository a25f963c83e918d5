// SPDX-License-Identifier: Apache-2.0
#include "fetch/range_plan.h"
#include "support/catch.h"

#include <algorithm>
#include <map>
#include <random>

using namespace tmpdump::fetch;

namespace {

constexpr std::uint64_t mib = 1U << 20U;

std::uint64_t total(const std::vector<Slice>& slices) {
  std::uint64_t sum = 0;
  for (const auto& slice : slices)
    sum += slice.length;
  return sum;
}

// Every wanted byte exactly once among had and planned; planned ranges do not overlap one another.
void check_coverage(const std::vector<Region>& wanted, const std::vector<Slice>& had,
                    const std::vector<Slice>& plan) {
  std::vector<Slice> sorted = plan;
  std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.offset < b.offset; });
  for (std::size_t i = 1; i < sorted.size(); ++i)
    REQUIRE(sorted[i - 1].offset + sorted[i - 1].length <= sorted[i].offset);
  std::vector<Slice> all = sorted;
  all.insert(all.end(), had.begin(), had.end());
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.offset < b.offset; });
  for (const auto& region : wanted) {
    std::uint64_t at = region.begin;
    for (const auto& slice : all) {
      if (slice.offset <= at && slice.offset + slice.length > at) at = slice.offset + slice.length;
    }
    REQUIRE(at >= region.end);
  }
}

} // namespace

TEST_CASE("an archive that is one run of entries becomes even ranges near the range size") {
  const std::vector<Region> wanted{{0, 17 * mib, 1}};
  const auto plan = plan_ranges(wanted, {}, {});
  REQUIRE(plan.size() == 3);
  check_coverage(wanted, {}, plan);
  for (const auto& slice : plan)
    CHECK(slice.length > 5 * mib);
}

TEST_CASE("what the first round trip brought is not asked for again") {
  const std::vector<Region> wanted{{0, 100 * mib, 1}};
  auto had = speculative_front();
  had.push_back({100 * mib - tail_length, tail_length});
  const auto plan = plan_ranges(wanted, had, {});
  check_coverage(wanted, had, plan);
  CHECK(total(plan) == 100 * mib - total(had));
}

TEST_CASE("a 121 MB archive takes at most 20 requests in all") {
  const std::uint64_t size = 121'000'000;
  auto had = speculative_front();
  had.push_back({size - tail_length, tail_length});
  const std::vector<Region> wanted{
      {0, 40'000'000, 1}, {40'000'000, 115'000'000, 100}, {115'000'000, size - 20'000, 1}};
  PlanOptions options;
  options.connections = GENERATE(0U, 4U, max_default_connections);
  const auto plan = plan_ranges(wanted, had, options);
  check_coverage(wanted, had, plan);
  CHECK(plan.size() + had.size() <= 20);
}

TEST_CASE(
    "connections end together: their ranges are a little smaller or larger, never by more than a quarter") {
  const auto ranges = [](std::uint64_t size, unsigned connections) {
    PlanOptions options;
    options.connections = connections;
    const std::vector<Region> wanted{{0, size, 1}};
    const auto plan = plan_ranges(wanted, {}, options);
    check_coverage(wanted, {}, plan);
    for (const auto& slice : plan)
      CHECK(slice.length <= options.range_size * 5 / 4 + (64U << 10U));
    return plan.size();
  };
  CHECK(ranges(66 * mib, 6) == 9);
  CHECK(ranges(76 * mib, 6) == 9);
  CHECK(ranges(98 * mib, 6) == 12);
  CHECK(ranges(98 * mib, 5) == 12);
  CHECK(ranges(98 * mib, 1) == 12);
  CHECK(ranges(98 * mib, 0) == 13);
  // Less than one for each that is idle when the directory is known, which is half of them.
  CHECK(ranges(20 * mib, 6) == 3);
  CHECK(ranges(9 * mib, 6) == 3);
  CHECK(ranges(5 * mib, 6) == 2);
  CHECK(ranges(3 * mib, 6) == 1);
}

TEST_CASE("a small gap is downloaded, a large one is skipped") {
  PlanOptions options;
  SECTION("small") {
    const std::vector<Region> wanted{{0, mib, 1}, {mib + options.max_gap, 3 * mib + options.max_gap, 1}};
    CHECK(plan_ranges(wanted, {}, options).size() == 1);
  }
  SECTION("large") {
    const std::vector<Region> wanted{{0, mib, 1}, {mib + options.max_gap + 1, 3 * mib + options.max_gap, 1}};
    const auto plan = plan_ranges(wanted, {}, options);
    CHECK(plan.size() == 2);
    CHECK(total(plan) == 3 * mib - 1);
  }
}

TEST_CASE("the entry that takes longest to decode is begun first, wherever it lies; small ones come last") {
  // 64 MiB of one large entry behind 64 MiB of many small ones.
  std::vector<Region> wanted;
  for (std::uint64_t i = 0; i < 64; ++i) {
    wanted.push_back({i * mib, (i + 1) * mib, 4 * mib});
  }
  wanted.push_back({64 * mib, 128 * mib, 256 * mib});
  const auto plan = plan_ranges(wanted, {}, {});
  check_coverage(wanted, {}, plan);
  REQUIRE(plan.size() == 16);
  for (std::size_t i = 0; i < 8; ++i)
    CHECK(plan[i].offset == 64 * mib + i * 8 * mib);
}

TEST_CASE("two equal entries are fed side by side") {
  const std::vector<Region> wanted{{0, 64 * mib, 256 * mib}, {64 * mib, 128 * mib, 256 * mib}};
  const auto plan = plan_ranges(wanted, {}, {});
  check_coverage(wanted, {}, plan);
  for (std::size_t i = 0; i < plan.size(); i += 2) {
    CHECK((plan[i].offset < 64 * mib) != (plan[i + 1].offset < 64 * mib));
  }
}

TEST_CASE(
    "among entries that decode quickly the archive's order decides, a long one is begun first all the same") {
  PlanOptions options;
  options.short_chain = 16 * mib;
  std::vector<Region> wanted;
  for (std::uint64_t i = 0; i < 8; ++i)
    wanted.push_back({8 * mib * i, 8 * mib * (i + 1), (1 + i) * 2 * mib});
  auto plan = plan_ranges(wanted, {}, options);
  check_coverage(wanted, {}, plan);
  CHECK(std::is_sorted(plan.begin(), plan.end(),
                       [](const auto& a, const auto& b) { return a.offset < b.offset; }));
  wanted[5].cost = 100 * mib;
  plan = plan_ranges(wanted, {}, options);
  CHECK(plan.front().offset == 40 * mib);
  CHECK(plan[1].offset == 0);
}

TEST_CASE("of many equal segments few are on their way at a time") {
  std::vector<Region> wanted; // 8 MiB that do not compress: a little more than a range
  for (std::uint64_t i = 0; i < 118; ++i)
    wanted.push_back({i * (8 * mib + 200), (i + 1) * (8 * mib + 200), 8 * mib});
  PlanOptions options;
  options.short_chain = 0; // else the archive's order alone would do
  const auto plan = plan_ranges(wanted, {}, options);
  check_coverage(wanted, {}, plan);
  std::map<std::uint64_t, std::uint64_t> left; // segment: bytes not asked for
  for (const auto& slice : plan) {
    const std::uint64_t segment = slice.offset / (8 * mib + 200);
    REQUIRE((slice.offset + slice.length - 1) / (8 * mib + 200) == segment);
    const auto at = left.emplace(segment, 8 * mib + 200).first;
    at->second -= slice.length;
    if (at->second == 0) left.erase(at);
    REQUIRE(left.size() <= 4);
  }
}

TEST_CASE("within an entry the order is that of the file, whatever the archive looks like") {
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    std::vector<Region> wanted;
    std::uint64_t at = random() % mib;
    const auto entries = random() % 40;
    for (unsigned i = 0; i < entries; ++i) {
      if (random() % 4 == 0) at += random() % (3 * mib);
      const std::uint64_t size = random() % 3 == 0 ? random() % (40 * mib) + 1 : random() % mib + 1;
      wanted.push_back({at, at + size, random() % (100 * mib)});
      at += size;
    }
    std::vector<Slice> had;
    if (random() % 2 == 0) had = speculative_front();
    if (random() % 2 == 0) had.push_back({at - std::min(at, tail_length), std::min(at, tail_length)});
    PlanOptions options;
    std::vector<Region> shuffled = wanted;
    std::shuffle(shuffled.begin(), shuffled.end(), random);
    const auto plan = plan_ranges(shuffled, had, options);
    check_coverage(wanted, had, plan);
    for (const auto& region : wanted) {
      std::uint64_t last = 0;
      for (const auto& slice : plan) {
        if (slice.offset >= region.end || slice.offset + slice.length <= region.begin) continue;
        REQUIRE(slice.offset >= last);
        last = slice.offset;
      }
    }
    for (const auto& slice : plan)
      REQUIRE(slice.length <= options.range_size);
  }
}

TEST_CASE("nothing wanted, nothing asked for") {
  CHECK(plan_ranges({}, {}, {}).empty());
  CHECK(plan_ranges(std::vector<Region>{{5, 5, 1}}, {}, {}).empty());
}

TEST_CASE("connections grow with the archive up to the default") {
  CHECK(choose_connections(0, 8 * mib) == 1);
  CHECK(choose_connections(3 * mib, 8 * mib) == 1);
  CHECK(choose_connections(20 * mib, 8 * mib) == 3);
  CHECK(choose_connections(10'000 * mib, 8 * mib) == max_default_connections);
  CHECK(choose_connections(20 * mib, 8 * mib, 5) == 5); // no reason to let one rest that is open
  CHECK(choose_connections(20 * mib, 8 * mib, 50) == max_default_connections);
}
