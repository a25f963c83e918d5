// SPDX-License-Identifier: Apache-2.0
// TLS that breaks: what came under its seals is kept, nothing else is believed, and the rest is asked for
// again.
#include "support/pipeline.h"

#include <algorithm>

using namespace tmpdump;
using namespace tmpdump::test;

namespace {

const Archive& library() {
  static const Archive archive = [] {
    Archive a;
    a.stored("large.so", noise(3 * mib, 1)).file("text.so", prose(900'000, 2)).symlink("link.so", "text.so");
    return a;
  }();
  return archive;
}

struct Secured : Pipeline {
  Secured() : Pipeline(over_tls()) {
    scratch.write("ca.pem", s3.ca_pem());
    environment["AWS_CA_BUNDLE"] = scratch.path("ca.pem");
    zip = library().zip();
    holds(zip);
  }
  static FakeS3Options over_tls() {
    FakeS3Options server = signed_only();
    server.tls = true;
    return server;
  }
  void check_is_right() const {
    CHECK(difference(tree(), library().tree()).empty());
    CHECK(staged().empty());
    CHECK(ended_quietly());
  }
  BuiltZip zip;
};

} // namespace

TEST_CASE("TLS that ends within its handshake, or right after it") {
  Secured pipeline;
  const Fault what = GENERATE(
      as<Fault>{}, fault::at_connect(ConnectFault::tls_alert),
      fault::at_connect(ConnectFault::alert_after_handshake), fault::in_handshake(1, ConnectFault::reset),
      fault::in_handshake(500, ConnectFault::reset), fault::in_handshake(500, ConnectFault::close),
      fault::in_handshake(500, ConnectFault::tls_alert), fault::in_handshake(5'000, ConnectFault::reset));
  INFO(what.name << ' ' << what.handshake_bytes);
  Fault some = what;
  some.when = {.every = 2, .count = 4};
  pipeline.s3.schedule(some);
  REQUIRE(pipeline.fetch());
  pipeline.check_is_right();
}

TEST_CASE("an answer that ends by an alert, or by a record that has changed, is taken up where it broke") {
  const std::uint64_t after = GENERATE(0U, 1U, 1'000U, 16'384U, 262'144U, 500'000U);
  const auto what = GENERATE_COPY(as<ScheduledFault>{}, fault::alert(after), fault::bad_record(after));
  INFO(what.name << " after " << after);
  Secured pipeline;
  pipeline.s3.schedule(what.on({.count = 8}));
  const auto outcome = pipeline.fetch();
  REQUIRE(outcome);
  CHECK(outcome->retries >= 1);
  pipeline.check_is_right();
  // Neither is what came before it asked for again, nor is what came behind it believed.
  const auto gets = pipeline.gets();
  const std::uint64_t tail = pipeline.zip.bytes.size() - fetch::tail_length;
  unsigned taken_up = 0;
  for (const auto& get : gets) {
    const bool all_came = get.length <= after; // its last byte is the last one before the break
    if (get.fault.empty() || get.status != 206 || all_came || *get.first_byte + get.length > tail) continue;
    const auto rest = std::find_if(gets.begin(), gets.end(), [&](const auto& later) {
      return later.number > get.number && later.first_byte == *get.first_byte + after;
    });
    CHECK(rest != gets.end());
    ++taken_up;
  }
  CHECK(taken_up >= 1);
}

TEST_CASE("an answer whose header ends by an alert, or by a record that has changed") {
  const std::uint64_t after = GENERATE(0U, 1U, 100U);
  const auto how = GENERATE(Cut::How::alert, Cut::How::bad_record);
  INFO(after << " bytes");
  Secured pipeline;
  pipeline.s3.schedule(fault::cut_header(after, how).on({.every = 3, .count = 4}));
  const auto outcome = pipeline.fetch();
  REQUIRE(outcome);
  CHECK(outcome->retries >= 1);
  pipeline.check_is_right();
}
