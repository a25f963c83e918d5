// SPDX-License-Identifier: Apache-2.0
// Lambda gives an extension that it shuts down 2 s, and we promise 200 ms: what is cancelled leaves nothing
// running.
#include "support/pipeline.h"

#include <atomic>

using namespace tmpdump;
using namespace tmpdump::test;

TEST_CASE("cancelled in the middle, with connections that are busy and some that are idle") {
  FakeS3Options server = signed_only();
  server.shape.total_bytes_per_second = 4 * mib;
  Pipeline pipeline(server);
  Archive archive;
  for (unsigned i = 0; i < 40; ++i)
    archive.file("lib/" + std::to_string(i), noise(100'000, i));
  pipeline.holds(archive);
  const std::size_t files = GENERATE(1U, 10U, 25U, 35U);
  std::atomic<std::size_t> published = 0;
  pipeline.observer.published = [&](const zip::Entry&) {
    ++published;
    return result<void>{};
  };
  CHECK_FALSE(pipeline.fetch_and_cancel([&] { return published >= files; }));
  CHECK(pipeline.ended_quietly());
  CHECK(pipeline.staged().empty());
  CHECK(damage(pipeline.tree(), archive.tree()).empty());
}

TEST_CASE("cancelled while the server is silent") {
  const auto [what, silence] = GENERATE(table<const char*, Fault>({
      {"after accepting", fault::at_connect(ConnectFault::stall).on(every_request())},
      {"before the header", fault::cut_header(0, Cut::How::stall).on(every_request())},
      {"within the header", fault::cut_header(40, Cut::How::stall).on(every_request())},
      {"before the body", fault::stall(0).on(every_request())},
      {"within the body", fault::stall(5'000).on(every_request())},
  }));
  const bool tls = GENERATE(false, true);
  CAPTURE(what, tls);
  FakeS3Options server = signed_only();
  server.tls = tls;
  Pipeline pipeline(server);
  if (tls) {
    pipeline.scratch.write("ca.pem", pipeline.s3.ca_pem());
    pipeline.environment["AWS_CA_BUNDLE"] = pipeline.scratch.path("ca.pem");
  }
  Archive archive;
  for (unsigned i = 0; i < 40; ++i)
    archive.file("lib/" + std::to_string(i), noise(100'000, i));
  pipeline.holds(archive);
  pipeline.s3.schedule(silence);
  pipeline.settings.hedge.enabled = GENERATE(false, true);
  const bool before_requests = silence.connect == ConnectFault::stall; // whose requests never arrive
  CHECK_FALSE(pipeline.fetch_and_cancel_after([&] {
    if (before_requests) {
      pipeline.s3.wait_for_connections(1);
    } else {
      pipeline.s3.wait_for_arrived(3, ample);
    }
  }));
  CHECK(pipeline.ended_quietly());
  CHECK(pipeline.staged().empty());
  CHECK(damage(pipeline.tree(), archive.tree()).empty());
}

TEST_CASE("cancelled while it waits to try again") {
  Pipeline pipeline;
  Archive archive;
  archive.file("lib/a", noise(100'000, 1));
  pipeline.holds(archive);
  pipeline.s3.schedule(fault::slow_down(600).on(every_request()));
  pipeline.settings.retry = {.base = ample, .cap = ample, .deadline = 20 * ample};
  CHECK_FALSE(pipeline.fetch_and_cancel_after([&] { pipeline.s3.wait_for_finished(1, ample); }));
  CHECK(pipeline.ended_quietly());
}
