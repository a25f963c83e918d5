// SPDX-License-Identifier: Apache-2.0
// Networks that break, stall and crawl: what the pipeline does about it is seen in counters and in the tree,
// never in the time that it takes.
#include "support/pipeline.h"

using namespace tmpdump;
using namespace tmpdump::test;
using fetch::milliseconds;

namespace {

const Archive& library() {
  static const Archive archive = [] {
    Archive a;
    a.stored("large.so", noise(3 * mib, 1))
        .file("text.so", prose(900'000, 2))
        .file("z.so", prose(900'000, 3), {.method = 93})
        .symlink("link.so", "text.so");
    return a;
  }();
  return archive;
}

const BuiltZip& library_zip() {
  static const BuiltZip zip = library().zip();
  return zip;
}

std::uint64_t tail_begin() {
  return library_zip().bytes.size() - fetch::tail_length;
}

// Hedges soon, and nothing else could help: time limits are ample.
void hedge_soon(Pipeline& pipeline) {
  pipeline.settings.hedge.enabled = true;
  pipeline.settings.hedge.directory = milliseconds(20);
  pipeline.settings.hedge.data = milliseconds(20);
}

bool is_right(const Pipeline& pipeline) {
  const std::string wrong = difference(pipeline.tree(), library().tree());
  INFO(wrong);
  CHECK(wrong.empty());
  CHECK(pipeline.staged().empty());
  CHECK(pipeline.ended_quietly());
  return wrong.empty();
}

} // namespace

TEST_CASE("answers that break at any byte are taken up where they broke") {
  const std::uint64_t at = GENERATE(0U, 1U, 29U, 30U, 41U, 1'000U, 65'535U, 65'536U, 131'071U, 131'072U,
                                    262'143U, 262'144U, 262'145U, 500'000U, 1'048'575U);
  const auto how = GENERATE(Cut::How::reset, Cut::How::close);
  INFO("at " << at);
  Pipeline pipeline;
  pipeline.holds(library_zip());
  Fault cut;
  cut.cut = Cut{.after = at, .how = how};
  cut.when = {.count = 12}; // all ranges of the first round and some that go on
  pipeline.s3.schedule(cut);
  const auto outcome = pipeline.fetch();
  REQUIRE(outcome);
  CHECK(outcome->retries >= 1);
  is_right(pipeline);
}

TEST_CASE("answers that break within their header") {
  const std::uint64_t at = GENERATE(0U, 1U, 12U, 100U, 200U);
  const auto how = GENERATE(Cut::How::reset, Cut::How::close);
  Pipeline pipeline;
  pipeline.holds(library_zip());
  pipeline.s3.schedule(fault::cut_header(at, how).on({.every = 3, .count = 4}));
  const auto outcome = pipeline.fetch();
  REQUIRE(outcome);
  CHECK(outcome->retries >= 1);
  is_right(pipeline);
}

TEST_CASE("a server that gives only a few bytes an answer is milked patiently") {
  Pipeline pipeline;
  Archive archive;
  archive.stored("file", noise(200'000));
  pipeline.holds(archive);
  pipeline.s3.schedule(fault::truncate(10'000).on(every_request()));
  pipeline.settings.retry.deadline = ample;
  const auto outcome = pipeline.fetch();
  REQUIRE(outcome);
  CHECK(difference(pipeline.tree(), archive.tree()).empty());
}

TEST_CASE("answers that S3 asks to be repeated are") {
  Pipeline pipeline;
  pipeline.holds(library_zip());
  const Fault what = GENERATE(
      as<Fault>{}, fault::slow_down(), fault::internal_error(), fault::too_many_requests(),
      fault::request_timeout(), fault::error_in_200(), fault::garbage(), fault::wrong_content_range(),
      fault::wrong_content_length(-7), fault::wrong_content_length(7), fault::multipart(), fault::chunked(),
      fault::gzip(), fault::error(504, "GatewayTimeout"), fault::remove_header("Content-Range"),
      fault::shifted_range(1), fault::shifted_range(-1), fault::shifted_range(1 << 20));
  INFO(what.name);
  Fault twice = what;
  twice.when = {.every = 3, .count = 2};
  pipeline.s3.schedule(twice);
  const auto outcome = pipeline.fetch();
  REQUIRE(outcome);
  CHECK(outcome->retries >= 1);
  is_right(pipeline);
}

TEST_CASE("a refusal that breaks off before it says why may have been one to repeat") {
  Pipeline pipeline;
  pipeline.holds(library_zip());
  Fault refusal = GENERATE(as<Fault>{}, fault::error(403, "RequestTimeTooSkewed"),
                           fault::error(400, "SlowDown"), fault::forbidden(), fault::no_such_key());
  refusal.cut = Cut{.after = GENERATE(0U, 30U), .how = GENERATE(Cut::How::reset, Cut::How::close)};
  INFO(refusal.name << " after " << refusal.cut->after);
  SECTION("twice") {
    refusal.when = {.every = 3, .count = 2};
    pipeline.s3.schedule(refusal);
    const auto outcome = pipeline.fetch();
    REQUIRE(outcome);
    CHECK(outcome->retries >= 1);
    is_right(pipeline);
  }
  SECTION("always: given up, with what is known") {
    refusal.when = every_request();
    pipeline.s3.schedule(refusal);
    pipeline.settings.retry.deadline = milliseconds(50);
    const auto outcome = pipeline.fetch();
    REQUIRE_FALSE(outcome);
    INFO(outcome.error().message);
    CHECK(outcome.error().message.find("gave up after") != std::string::npos);
    CHECK(outcome.error().message.find("HTTP " + std::to_string(refusal.error->status)) != std::string::npos);
  }
}

TEST_CASE("connections that are closed between requests, announced or not, are replaced") {
  Pipeline pipeline;
  pipeline.holds(library_zip());
  const Fault what =
      GENERATE(as<Fault>{}, fault::connection_close(), fault::unannounced_close(), fault::http_1_0());
  Fault each = what;
  each.when = every_request();
  pipeline.s3.schedule(each);
  REQUIRE(pipeline.fetch());
  is_right(pipeline);
}

TEST_CASE("connections that fail as they are opened") {
  Pipeline pipeline;
  pipeline.holds(library_zip());
  const auto kind = GENERATE(ConnectFault::reset, ConnectFault::close, ConnectFault::garbage);
  pipeline.s3.schedule(fault::at_connect(kind).on({.every = 2, .count = 4}));
  REQUIRE(pipeline.fetch());
  is_right(pipeline);
}

TEST_CASE("a server that is down all the time: the message says how often and what happened") {
  Pipeline pipeline;
  pipeline.holds(library_zip());
  pipeline.settings.retry.deadline = milliseconds(50);
  pipeline.s3.schedule(fault::slow_down().on(every_request()));
  const auto outcome = pipeline.fetch();
  REQUIRE_FALSE(outcome);
  CHECK(outcome.error().code == Errc::network);
  CHECK(outcome.error().message.find("s3://bucket/lib.zip: gave up after ") == 0);
  CHECK(outcome.error().message.find("SlowDown") != std::string::npos);
  CHECK(pipeline.tree().empty());
  CHECK(pipeline.ended_quietly());
}

TEST_CASE("nobody listens") {
  Pipeline pipeline;
  pipeline.settings.retry.deadline = milliseconds(50);
  pipeline.environment["AWS_ENDPOINT_URL_S3"] = "http://127.0.0.1:1";
  const auto outcome = pipeline.fetch();
  REQUIRE_FALSE(outcome);
  CHECK(outcome.error().code == Errc::network);
  CHECK(outcome.error().message.find("127.0.0.1") != std::string::npos);
  CHECK(outcome.error().message.find("refused") != std::string::npos);
}

TEST_CASE("a server without ranges is refused with a reason, unless the archive is small") {
  Pipeline pipeline;
  pipeline.s3.schedule(fault::whole_body().on(every_request()));
  SECTION("large") {
    pipeline.holds(library_zip());
    const auto outcome = pipeline.fetch();
    REQUIRE_FALSE(outcome);
    CHECK(outcome.error().message.find("Range") != std::string::npos);
  }
  SECTION("small") {
    Archive archive;
    archive.file("small", prose(10'000));
    pipeline.holds(archive);
    REQUIRE(pipeline.fetch());
    CHECK(difference(pipeline.tree(), archive.tree()).empty());
  }
  SECTION("small, and answered last is") {
    // The tail; what lies beyond the end; all of it.
    const std::string range = GENERATE("bytes=-131072", "bytes=1048576-3145727", "bytes=0-1048575");
    CAPTURE(range);
    Archive archive;
    archive.file("small", prose(10'000));
    pipeline.holds(archive);
    Fault late = fault::whole_body();
    late.first_byte_delay = milliseconds(50);
    late.when = {.range = range, .count = forever};
    pipeline.s3.clear_faults();
    pipeline.s3.schedule(late);
    pipeline.s3.schedule(fault::whole_body().on(every_request()));
    REQUIRE(pipeline.fetch());
    CHECK(difference(pipeline.tree(), archive.tree()).empty());
  }
}

TEST_CASE("a stalled tail is asked for again on another connection") {
  Pipeline pipeline;
  pipeline.holds(library_zip());
  hedge_soon(pipeline);
  const Fault what =
      GENERATE(as<Fault>{}, fault::stall(0), fault::stall(5'000), fault::cut_header(0, Cut::How::stall));
  Fault once = what;
  once.when = {.begins_at = tail_begin()};
  pipeline.s3.schedule(once);
  const auto outcome = pipeline.fetch();
  REQUIRE(outcome);
  CHECK(outcome->hedges >= 1);
  CHECK(outcome->retries == 0);
  is_right(pipeline);
}

TEST_CASE("a stalled range is asked for again when everything waits for it") {
  Pipeline pipeline;
  pipeline.holds(library_zip());
  hedge_soon(pipeline);
  const std::uint64_t begins_at = GENERATE(0U, 1 * mib, 2 * mib); // the speculative ranges of 4 MB
  const std::uint64_t after = GENERATE(0U, 100'000U);
  pipeline.s3.schedule(fault::stall(after).on({.begins_at = begins_at}));
  const auto outcome = pipeline.fetch();
  REQUIRE(outcome);
  CHECK(outcome->hedges >= 1);
  CHECK(outcome->retries == 0);
  is_right(pipeline);
}

TEST_CASE("a range that crawls is asked for again, also when its peers are done already") {
  Pipeline pipeline;
  pipeline.holds(library_zip());
  hedge_soon(pipeline);
  pipeline.settings.hedge.data = milliseconds(100); // not so soon that it has brought nothing at all
  // 200 kB/s: ten seconds, were there no hedge.
  pipeline.s3.schedule(fault::trickle(2'000, std::chrono::milliseconds(10)).on({.begins_at = 1 * mib}));
  const auto outcome = pipeline.fetch();
  REQUIRE(outcome);
  CHECK(outcome->hedges >= 1);
  CHECK(outcome->retries == 0);
  is_right(pipeline);
  // The crawling answer was left behind.
  bool left = false;
  for (const auto& get : pipeline.gets())
    left = left || (get.fault == "trickle" && get.body_bytes_sent < get.length);
  CHECK(left);
}

TEST_CASE("a healthy server is asked for nothing twice") {
  Pipeline pipeline;
  pipeline.holds(library_zip());
  pipeline.settings.hedge.enabled = true;
  pipeline.settings.hedge.directory = ample;
  pipeline.settings.hedge.data = ample;
  const auto outcome = pipeline.fetch();
  REQUIRE(outcome);
  CHECK(outcome->hedges == 0);
  CHECK(outcome->retries == 0);
  for (const auto& get : pipeline.gets())
    CHECK(get.attempt == 1);
  is_right(pipeline);
}

TEST_CASE("a hedge that fails does no harm") {
  Pipeline pipeline;
  pipeline.holds(library_zip());
  hedge_soon(pipeline);
  pipeline.s3.schedule(fault::stall(1'000).on({.begins_at = tail_begin()}));
  pipeline.s3.schedule(fault::internal_error().on({.begins_at = tail_begin()}));
  pipeline.s3.schedule(fault::reset(100).on({.begins_at = tail_begin(), .count = 2}));
  const auto outcome = pipeline.fetch();
  REQUIRE(outcome);
  is_right(pipeline);
}

TEST_CASE("the server drops every connection at once, again and again") {
  Pipeline pipeline;
  pipeline.holds(library_zip());
  std::uint64_t steps = 0;
  const auto outcome = pipeline.fetch_and_cancel([&] {
    if (++steps % 40 == 0 && steps <= 400) pipeline.s3.reset_connections();
    return false;
  });
  REQUIRE(outcome);
  REQUIRE(*outcome);
  is_right(pipeline);
}

TEST_CASE("answers that all break after a few bytes fill no window") {
  // Each break leaves a buffer with little in it; those of the tail once were kept until all of it was there.
  Pipeline pipeline;
  Archive archive;
  archive.stored("lib/noise.so", noise(300'000, 1)).file("lib/prose.so", prose(200'000, 2));
  pipeline.holds(archive);
  pipeline.settings.window = mib; // as few buffers as there can be: 8
  const auto bytes = GENERATE(2'000U, 16'000U);
  pipeline.s3.schedule(fault::truncate(bytes).on(every_request()));
  REQUIRE(pipeline.fetch());
  CHECK(difference(pipeline.tree(), archive.tree()).empty());
}

TEST_CASE("a server that gives a few bytes each time is given up") {
  Pipeline pipeline;
  Archive archive;
  archive.stored("lib/noise.so", noise(4'000'000, 1));
  pipeline.holds(archive);
  pipeline.settings.retry.deadline = std::chrono::milliseconds(300);
  pipeline.s3.schedule(fault::truncate(100).on(every_request()));
  pipeline.settings.retry.progress = 64 * mib; // however quick this machine is, that is too little
  const auto outcome = pipeline.fetch();
  REQUIRE_FALSE(outcome);
  CHECK(outcome.error().code == Errc::network);
  CHECK(outcome.error().message.find("gave up") != std::string::npos);
}
