// SPDX-License-Identifier: Apache-2.0
#include "shaper.h"
#include "support/catch.h"

#include <algorithm>
#include <cmath>
#include <vector>

using namespace tmpdump::bench;
using std::chrono::duration;
using std::chrono::microseconds;

namespace {

constexpr std::uint64_t part = 100'000;
const Clock::time_point start{std::chrono::hours(1)};

Shape lambda_like() {
  return {60e6, 300e6, 300'000'000, 75e6, microseconds(25'000), microseconds(150'000), 0.02};
}

// When `bytes` that are always at hand have left, over so many connections in turn.
double seconds(Shaper& shaper, std::vector<Line>& lines, std::uint64_t bytes) {
  auto now = start;
  for (std::uint64_t sent = 0, turn = 0; sent < bytes; sent += part, ++turn) {
    now = std::max(now, shaper.reserve(lines[turn % lines.size()], part, now));
  }
  return duration<double>(now - start).count();
}

double rate(const Shape& shape, unsigned connections, std::uint64_t bytes) {
  Shaper shaper(shape);
  shaper.reset(1);
  std::vector<Line> lines(connections);
  return static_cast<double>(bytes) / seconds(shaper, lines, bytes);
}

bool is_near(double found, double wanted) {
  return std::abs(found - wanted) < 0.01 * wanted;
}

} // namespace

TEST_CASE("a connection alone gets its own rate, several together the link's") {
  CHECK(is_near(rate(lambda_like(), 1, 60'000'000), 60e6));
  CHECK(is_near(rate(lambda_like(), 3, 180'000'000), 180e6));
  CHECK(is_near(rate(lambda_like(), 10, 290'000'000), 300e6));
}

TEST_CASE("when the credit is used up the sustained rate remains, and a reset gives it back") {
  Shaper shaper(lambda_like());
  shaper.reset(1);
  std::vector<Line> lines(10);
  CHECK(is_near(seconds(shaper, lines, 450'000'000), 1.0 + 2.0));
  shaper.reset(1);
  std::vector<Line> others(10);
  CHECK(is_near(seconds(shaper, others, 300'000'000), 1.0));
}

TEST_CASE("time that a connection did not use is lost") {
  Shaper shaper(lambda_like());
  shaper.reset(1);
  Line line;
  (void)shaper.reserve(line, part, start);
  const auto later = start + std::chrono::seconds(1);
  for (int i = 0; i < 10; ++i)
    (void)shaper.reserve(line, part, later);
  // 1 MB at 60 MB/s, less the slack
  CHECK(duration<double>(line.free_at() - later).count() > 1e6 / 60e6 - 0.0011);
}

TEST_CASE("without rates nothing waits") {
  Shaper shaper(Shape{});
  Line line;
  for (int i = 0; i < 1000; ++i)
    REQUIRE(shaper.reserve(line, 1U << 30U, start) == start);
}

TEST_CASE("the same seed brings the same latencies, about 2 % of them slow") {
  Shaper shaper(lambda_like());
  std::vector<std::vector<microseconds>> drawn;
  for (const std::uint64_t seed : {5U, 5U, 6U}) {
    shaper.reset(seed);
    auto& latencies = drawn.emplace_back();
    for (int i = 0; i < 10'000; ++i)
      latencies.push_back(shaper.draw_latency());
  }
  CHECK(drawn[0] == drawn[1]);
  CHECK(drawn[0] != drawn[2]);
  const auto slow = std::count(drawn[0].begin(), drawn[0].end(), microseconds(150'000));
  CHECK(slow > 150);
  CHECK(slow < 250);
  CHECK(std::count(drawn[0].begin(), drawn[0].end(), microseconds(25'000)) == 10'000 - slow);
}
