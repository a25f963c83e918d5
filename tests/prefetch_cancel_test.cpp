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
