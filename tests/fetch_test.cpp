// SPDX-License-Identifier: Apache-2.0
#include "base/process.h"
#include "fetch/transfer.h"
#include "support/catch.h"
#include "support/scripted_source.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>

#include <map>
#include <memory>
#include <random>
#include <sys/mman.h>
#include <unistd.h>

using namespace tmpdump;
using namespace tmpdump::fetch;
using tmpdump::test::Act;
using tmpdump::test::network_error;
using tmpdump::test::ScriptedSource;
namespace asio = boost::asio;

namespace {

constexpr std::uint64_t mib = 1U << 20U;

std::string random_bytes(std::size_t size, unsigned seed = 1) {
  std::mt19937_64 random(seed);
  std::string out(size, '\0');
  for (std::size_t i = 0; i + 8 <= size; i += 8) {
    const std::uint64_t word = random();
    std::memcpy(out.data() + i, &word, 8);
  }
  return out;
}

// A transfer on a loop of its own, whose consumer checks that every byte comes once and in order within a
// range.
struct Bench {
  explicit Bench(std::size_t size, TransferOptions options = quick()) : source(context, random_bytes(size)) {
    arrived.assign(size, 0);
    received.assign(size, '\0');
    transfer = std::make_unique<Transfer>(
        context, source, pool, options, [this](Piece piece) { accept(std::move(piece)); }, nullptr);
  }
  static TransferOptions quick() {
    TransferOptions options;
    options.connections = 4;
    options.retry.base = milliseconds(1);
    options.retry.cap = milliseconds(4);
    options.hedge.enabled = false;
    return options;
  }
  void accept(Piece piece) {
    // Only the tail may repeat what a speculative range brought before its place was known.
    const std::size_t tail_begin = arrived.size() - std::min(arrived.size(), tail_size);
    bool once = true;
    for (std::size_t i = piece.offset; i < piece.offset + piece.bytes.size(); ++i) {
      once = once && ++arrived[i] <= (i >= tail_begin ? 2 : 1);
    }
    REQUIRE(once);
    std::memcpy(received.data() + piece.offset, piece.bytes.data(), piece.bytes.size());
    if (keep) kept.push_back(std::move(piece));
  }
  // The whole object: tail and front, then the rest in ranges.
  result<void> fetch_all(std::uint64_t tail = 1000, std::vector<Slice> front = {},
                         std::uint64_t range = 100'000) {
    std::optional<result<void>> outcome;
    tail_size = tail;
    asio::co_spawn(
        context,
        [&, tail, front, range]() -> asio::awaitable<void> {
          auto info = co_await transfer->begin(tail, front);
          if (!info) {
            outcome.emplace(info.error());
            co_return;
          }
          PlanOptions plan;
          plan.range_size = range;
          transfer->add(plan_ranges(std::vector<Region>{{0, info->size, 1}}, transfer->asked(), plan));
          outcome.emplace(co_await transfer->drain());
        },
        [](const std::exception_ptr& error) {
          if (error) std::rethrow_exception(error);
        });
    context.run();
    REQUIRE(outcome.has_value());
    return *outcome;
  }
  void check_whole() {
    CHECK(received == source.object);
    CHECK(source.in_flight == 0);
  }

  asio::io_context context{1};
  ScriptedSource source;
  ChunkPool pool{context, 40 * mib};
  std::vector<unsigned char> arrived;
  std::string received;
  std::size_t tail_size = 0;
  bool keep = false;
  std::vector<Piece> kept;
  std::unique_ptr<Transfer> transfer;
};

} // namespace

TEST_CASE("an object arrives whole, over at most so many connections") {
  Bench bench(3'000'000);
  REQUIRE(bench.fetch_all().has_value());
  bench.check_whole();
  CHECK(bench.source.most_in_flight <= 4);
  CHECK(bench.transfer->counters().retries == 0);
}

TEST_CASE("a tiny object comes whole in one request") {
  Bench bench(700);
  REQUIRE(bench.fetch_all(1000).has_value());
  bench.check_whole();
  CHECK(bench.source.asked.size() == 1);
}

TEST_CASE("later ranges carry the pinned ETag, the first ones are compared by it") {
  Bench bench(1'000'000);
  REQUIRE(bench.fetch_all(1000, {{0, 100'000}}).has_value());
  CHECK(bench.source.asked[0].if_match.empty());
  CHECK(bench.source.asked.back().if_match == "\"one\"");
}

TEST_CASE("speculative ranges beyond the end are forgotten, across it shortened") {
  Bench bench(150'000);
  REQUIRE(bench.fetch_all(1000, {{0, 100'000}, {100'000, 100'000}, {200'000, 100'000}}).has_value());
  bench.check_whole();
  CHECK(bench.transfer->counters().retries == 0);
}

TEST_CASE("a broken range goes on at the byte where it broke") {
  Bench bench(500'000);
  bench.source.script = [](std::size_t attempt, const s3::GetRequest&) {
    Act act;
    if (attempt == 1) act.break_after = 33'333;
    return act;
  };
  REQUIRE(bench.fetch_all(1000, {}, 500'000).has_value());
  bench.check_whole();
  REQUIRE(bench.source.asked.size() == 3);
  CHECK(std::get<s3::Slice>(bench.source.asked[2].range).offset == 33'333);
  CHECK(bench.transfer->counters().retries == 1);
}

TEST_CASE("a break at every byte of a small range is survived") {
  for (std::uint64_t at = 0; at < 64; ++at) {
    Bench bench(64 + 8);
    bench.source.script = [&](std::size_t attempt, const s3::GetRequest&) {
      Act act;
      if (attempt == 1) act.break_after = at;
      return act;
    };
    REQUIRE(bench.fetch_all(8).has_value());
    bench.check_whole();
  }
}

TEST_CASE("random breaks and refusals on every third attempt") {
  for (unsigned seed = 0; seed < 50; ++seed) {
    INFO("seed " << seed);
    Bench bench(2'000'000);
    std::mt19937 random(seed);
    bench.source.script = [&](std::size_t, const s3::GetRequest&) {
      Act act;
      if (random() % 3 == 0) act.break_after = random() % 200'000;
      if (random() % 5 == 0) act.refuse = network_error("503 SlowDown");
      return act;
    };
    REQUIRE(bench.fetch_all(50'000, speculative_front()).has_value());
    bench.check_whole();
  }
}

TEST_CASE("a server that never answers well is given up within the deadline, with the last reason") {
  auto options = Bench::quick();
  options.retry.deadline = milliseconds(200);
  Bench bench(1000, options);
  bench.source.script = [](std::size_t, const s3::GetRequest&) {
    Act act;
    act.refuse = network_error("503 SlowDown");
    return act;
  };
  const auto outcome = bench.fetch_all();
  REQUIRE(outcome.has_error());
  CHECK(outcome.error().code == Errc::network);
  CHECK(outcome.error().message.find("503 SlowDown") != std::string::npos);
  CHECK(outcome.error().message.find("gave up after") != std::string::npos);
}

TEST_CASE("a server that takes requests and stays silent is given up within the deadline, too") {
  auto options = Bench::quick();
  options.retry.deadline = milliseconds(200);
  options.hedge.enabled = GENERATE(false, true);
  Bench bench(1'000'000, options);
  const std::uint64_t after = GENERATE(0U, 1'000U);
  bench.source.script = [&](std::size_t, const s3::GetRequest&) {
    Act act;
    act.hang_after = after;
    return act;
  };
  const auto outcome = bench.fetch_all();
  REQUIRE(outcome.has_error());
  CHECK(outcome.error().code == Errc::network);
  CHECK(outcome.error().message.find("gave up after 0 attempts") != std::string::npos);
}

TEST_CASE("stale state is repaired at once, but not for ever") {
  auto options = Bench::quick();
  options.retry.deadline = milliseconds(200);
  Bench bench(1000, options);
  SECTION("twice") {
    bench.source.script = [](std::size_t attempt, const s3::GetRequest&) {
      Act act;
      if (attempt < 2)
        act.refuse = s3::GetFailure{{Errc::network, "closed"}, s3::Verdict::retry_now, std::nullopt};
      return act;
    };
    REQUIRE(bench.fetch_all().has_value());
    bench.check_whole();
  }
  SECTION("always") {
    bench.source.script = [](std::size_t, const s3::GetRequest&) {
      Act act;
      act.refuse = s3::GetFailure{{Errc::network, "closed"}, s3::Verdict::retry_now, std::nullopt};
      return act;
    };
    CHECK(bench.fetch_all().has_error());
    CHECK(bench.source.asked.size() < 1000);
  }
}

TEST_CASE("what asking again does not mend fails at once and stops the others") {
  Bench bench(3'000'000);
  bench.source.script = [](std::size_t attempt, const s3::GetRequest&) {
    Act act;
    if (attempt == 5) act.refuse = s3::GetFailure{{Errc::denied, "403"}, s3::Verdict::fatal, std::nullopt};
    return act;
  };
  const auto outcome = bench.fetch_all();
  REQUIRE(outcome.has_error());
  CHECK(outcome.error().code == Errc::denied);
  CHECK(bench.source.asked.size() < 12);
  CHECK(bench.source.in_flight == 0);
}

TEST_CASE("another version of the object is never mixed in") {
  Bench bench(1'000'000);
  SECTION("the object is replaced midway: 412") {
    bench.source.script = [&](std::size_t attempt, const s3::GetRequest&) {
      if (attempt == 4) bench.source.etag = "\"two\"";
      return Act{};
    };
  }
  SECTION("a speculative range answers with another ETag than the tail") {
    bench.source.script = [](std::size_t attempt, const s3::GetRequest&) {
      Act act;
      if (attempt == 1) act.etag = "\"two\"";
      return act;
    };
  }
  const auto outcome = bench.fetch_all(1000, {{0, 100'000}});
  REQUIRE(outcome.has_error());
  CHECK(outcome.error().code == Errc::changed);
}

TEST_CASE("an empty object is no archive") {
  Bench bench(0);
  bench.source.script = [](std::size_t, const s3::GetRequest&) {
    Act act;
    act.refuse = s3::GetFailure{{Errc::bad_archive, "416"}, s3::Verdict::out_of_range, std::nullopt};
    return act;
  };
  const auto outcome = bench.fetch_all();
  REQUIRE(outcome.has_error());
  CHECK(outcome.error().code == Errc::bad_archive);
  CHECK(outcome.error().message.find("empty") != std::string::npos);
}

TEST_CASE("a range that stalls is hedged, and nothing arrives twice") {
  auto options = Bench::quick();
  options.hedge.enabled = true;
  options.hedge.directory = milliseconds(5);
  options.hedge.data = milliseconds(5);
  Bench bench(2'000'000, options);
  SECTION("a range of data, after some bytes") {
    bench.source.script = [](std::size_t attempt, const s3::GetRequest&) {
      Act act;
      if (attempt == 2) act.hang_after = 70'000;
      return act;
    };
  }
  SECTION("the tail, before its first byte") {
    bench.source.script = [](std::size_t attempt, const s3::GetRequest&) {
      Act act;
      if (attempt == 0) act.hang_after = 0;
      return act;
    };
  }
  SECTION("the last range") {
    bench.source.script = [](std::size_t attempt, const s3::GetRequest&) {
      Act act;
      if (attempt == 20) act.hang_after = 1;
      return act;
    };
  }
  REQUIRE(bench.fetch_all(1000, {{0, 100'000}}).has_value());
  bench.check_whole();
  CHECK(bench.transfer->counters().hedges >= 1);
}

TEST_CASE("once joined, nothing of a stopped transfer touches the source") {
  Bench bench(2'000'000);
  bench.source.script = [](std::size_t attempt, const s3::GetRequest&) {
    Act act;
    if (attempt >= 3) act.hang_after = 1000;
    return act;
  };
  std::size_t before = 0, after = 1;
  asio::co_spawn(
      bench.context,
      [&]() -> asio::awaitable<void> {
        (void)co_await bench.transfer->begin(1000, {});
        bench.transfer->add({{0, 100'000}, {100'000, 100'000}, {200'000, 100'000}, {300'000, 100'000}});
        // The ranges that hang hold their bodies until they are stopped.
        while (bench.source.in_flight < 2)
          co_await asio::post(bench.context, asio::use_awaitable);
        before = bench.source.in_flight;
        bench.transfer->cancel({Errc::cancelled, "enough"});
        co_await bench.transfer->join();
        after = bench.source.in_flight;
      },
      asio::detached);
  bench.context.run();
  CHECK(before >= 2);
  CHECK(after == 0);
}

TEST_CASE("a full window stops reading, and a transfer whose consumer keeps everything still makes room for "
          "the head") {
  asio::io_context context(1);
  ScriptedSource source(context, random_bytes(8 * mib));
  ChunkPool pool(context, 2 * mib);    // 8 chunks for 32
  std::map<std::uint64_t, Piece> held; // in order of the file, as a decoder needs them
  std::uint64_t next = 0;
  std::size_t most = 0;
  Transfer transfer(
      context, source, pool, Bench::quick(),
      [&](Piece piece) {
        held.emplace(piece.offset, std::move(piece));
        most = std::max(most, held.size());
        // Only the front can be used up; everything else holds on to its chunk.
        while (!held.empty() && held.begin()->first == next) {
          next += held.begin()->second.bytes.size();
          held.erase(held.begin());
        }
      },
      nullptr);
  bool ended = false;
  asio::co_spawn(
      context,
      [&]() -> asio::awaitable<void> {
        auto info = co_await transfer.begin(1000, {});
        REQUIRE(info.has_value());
        std::vector<Slice> ranges;
        for (std::uint64_t at = 0; at < 8 * mib - 1000; at += mib)
          ranges.push_back({at, std::min(mib, 8 * mib - 1000 - at)});
        transfer.add(ranges);
        REQUIRE((co_await transfer.drain()).has_value());
        ended = true;
      },
      asio::detached);
  context.run();
  CHECK(ended);
  CHECK(next == 8 * mib);
  CHECK(most <= 8);
  CHECK(pool.peak_bytes() <= 2 * mib);
}

TEST_CASE("what decoders keep of the input counts: other ranges wait, the head goes on") {
  asio::io_context context(1);
  ScriptedSource source(context, random_bytes(8 * mib));
  ChunkPool pool(context, 2 * mib);
  std::int64_t kept = 0; // of [0, 4 MiB), as of a segment that is decoded when all of it is there
  std::size_t first = 0;
  std::size_t second = 0;
  std::size_t second_meanwhile = 0;
  Transfer transfer(
      context, source, pool, Bench::quick(),
      [&](const Piece& piece) {
        const auto size = piece.bytes.size();
        (piece.offset < 4 * mib ? first : second) += size;
        const auto more = first < 4 * mib ? static_cast<std::int64_t>(size) : -kept;
        kept += more;
        pool.keep(more);
        if (first < 4 * mib) second_meanwhile = second;
      },
      nullptr);
  bool ended = false;
  asio::co_spawn(
      context,
      [&]() -> asio::awaitable<void> {
        auto info = co_await transfer.begin(1000, {});
        REQUIRE(info.has_value());
        transfer.add({{0, 4 * mib}, {4 * mib, 4 * mib - 1000}});
        REQUIRE((co_await transfer.drain()).has_value());
        ended = true;
      },
      asio::detached);
  context.run();
  CHECK(ended);
  CHECK(first == 4 * mib);
  CHECK(second == 4 * mib);
  CHECK(second_meanwhile <= 2 * mib);
}

TEST_CASE("a range that waits for the decoders is not given up, however long they take") {
  asio::io_context context(1);
  ScriptedSource source(context, random_bytes(8 * mib));
  ChunkPool pool(context, 2 * mib);
  auto options = Bench::quick();
  options.retry.deadline = milliseconds(50);
  std::vector<Piece> held; // the decoders do nothing yet
  std::size_t received = 0;
  bool slow = true;
  Transfer transfer(
      context, source, pool, options,
      [&](Piece piece) {
        received += piece.bytes.size();
        if (slow) held.push_back(std::move(piece));
      },
      nullptr);
  asio::steady_timer later(context, milliseconds(300));
  later.async_wait([&](const boost::system::error_code&) {
    slow = false;
    held.clear();
  });
  std::optional<result<void>> outcome;
  asio::co_spawn(
      context,
      [&]() -> asio::awaitable<void> {
        auto info = co_await transfer.begin(1000, {});
        REQUIRE(info.has_value());
        transfer.add({{0, 4 * mib}, {4 * mib, 4 * mib - 1000}});
        outcome = co_await transfer.drain();
      },
      asio::detached);
  context.run();
  REQUIRE(outcome.has_value());
  CHECK(outcome->has_value());
  CHECK(received == 8 * mib);
}

TEST_CASE("a buffer whose place decoders have taken gives its pages back") {
  bound_free_heap(); // as the programs: buffers come from the heap, which keeps what is given back to it
  asio::io_context context(1);
  ChunkPool pool(context, 2 * mib);
  ChunkPtr chunk;
  asio::co_spawn(
      context, [&]() -> asio::awaitable<void> { chunk = co_await pool.acquire(0); }, asio::detached);
  context.run();
  REQUIRE(chunk);
  const auto behind = std::make_unique<std::string>(64 << 10, 'x'); // else it would be the heap's end
  std::memset(chunk->memory.data(), 1, chunk->memory.size());
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  void* begin = chunk->memory.data();
  std::size_t space = chunk->memory.size();
  REQUIRE(std::align(page, page, begin, space) != nullptr);
  std::vector<unsigned char> pages(chunk_size / page - 1);
  const auto resident = [&] {
    if (mincore(begin, pages.size() * page, pages.data()) != 0) return std::ptrdiff_t{0}; // not even mapped
    return std::count_if(pages.begin(), pages.end(), [](unsigned char is) { return (is & 1U) != 0; });
  };
  REQUIRE(resident() == static_cast<std::ptrdiff_t>(pages.size()));
  pool.keep(2 * mib);
  chunk.reset();
  CHECK(resident() <= 2); // where malloc and sanitizers note something
}

TEST_CASE("backoff: full jitter below an exponential ceiling, never below Retry-After") {
  RetryPolicy policy;
  CHECK(policy.delay(1, 0.0, std::nullopt) == milliseconds(0));
  CHECK(policy.delay(1, 0.5, std::nullopt) == milliseconds(50));
  CHECK(policy.delay(3, 0.5, std::nullopt) == milliseconds(200));
  CHECK(policy.delay(60, 0.999, std::nullopt) <= policy.cap);
  CHECK(policy.delay(1, 0.0, milliseconds(700)) == milliseconds(700));
}

TEST_CASE("hedging: only what is waited for, not what we stopped reading ourselves") {
  const HedgePolicy policy;
  HedgePolicy::Progress stalled;
  stalled.waited_for = true;
  CHECK(policy.should_hedge(stalled));
  auto other = stalled;
  other.paused = true;
  CHECK_FALSE(policy.should_hedge(other));
  other = stalled;
  other.waited_for = false;
  CHECK_FALSE(policy.should_hedge(other));
  other = stalled;
  other.hedges = policy.max_at_once;
  CHECK_FALSE(policy.should_hedge(other));
  other = stalled;
  other.bytes = 100;
  other.peers = 399;
  CHECK_FALSE(policy.should_hedge(other));
  other.peers = 401;
  CHECK(policy.should_hedge(other));
}
