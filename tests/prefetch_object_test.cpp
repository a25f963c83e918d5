// SPDX-License-Identifier: Apache-2.0
// What S3 may answer about the object and about us: another version, another region, another clock, no
// access, no object.
#include "support/container_endpoint.h"
#include "support/pipeline.h"

using namespace tmpdump;
using namespace tmpdump::test;

namespace {

// Several ranges, and the same names with other contents for another seed.
Archive version(std::uint64_t seed) {
  Archive archive;
  archive.stored("lib/large.so", noise(5 * mib, seed))
      .file("lib/small.so", prose(200'000 + seed, seed))
      .symlink("lib/link.so", seed % 2 == 0 ? "small.so" : "large.so")
      .stored("version", std::to_string(seed));
  return archive;
}

std::uint64_t tails(const Pipeline& pipeline) {
  std::uint64_t count = 0;
  for (const auto& get : pipeline.gets())
    if (get.range == "bytes=-131072") ++count;
  return count;
}

// One range after the other: what happens depends on no race.
void one_by_one(Pipeline& pipeline) {
  pipeline.settings.connections = 1;
}

std::string failure_of(Pipeline& pipeline, Errc code) {
  const auto outcome = pipeline.fetch();
  REQUIRE_FALSE(outcome);
  CHECK(outcome.error().code == code);
  CHECK(pipeline.staged().empty());
  CHECK(pipeline.ended_quietly());
  INFO(outcome.error().message);
  CHECK(outcome.error().message.find("s3://bucket/lib.zip") != std::string::npos);
  CHECK(outcome.error().message.find('\n') == std::string::npos);
  return outcome.error().message;
}

bool says(const std::string& message, const std::string& text) {
  INFO(message);
  CHECK(message.find(text) != std::string::npos);
  return true;
}

} // namespace

TEST_CASE("an object that is replaced midway: starts over and ends with the new tree") {
  Pipeline pipeline;
  one_by_one(pipeline);
  pipeline.holds(version(1));
  const std::uint64_t third = GENERATE(2U, 3U, 4U);
  pipeline.s3.schedule(fault::replace_object(version(2).zip().bytes).on(nth_get(third)));
  const auto outcome = pipeline.fetch();
  REQUIRE(outcome);
  CHECK(outcome->restarts == 1);
  CHECK(outcome->etag == pipeline.s3.etag("bucket", "lib.zip"));
  CHECK(difference(pipeline.tree(), version(2).tree()).empty());
  CHECK(tails(pipeline) == 2);
  CHECK(pipeline.staged().empty());
}

TEST_CASE("replaced while ten connections are at work") {
  Pipeline pipeline;
  pipeline.holds(version(1));
  pipeline.s3.schedule(fault::replace_object(version(2).zip().bytes).on(nth_get(4)));
  pipeline.s3.schedule(fault::replace_object(version(3).zip().bytes).on(nth_get(7)));
  const auto outcome = pipeline.fetch();
  REQUIRE(outcome);
  CHECK(outcome->restarts >= 1);
  CHECK(difference(pipeline.tree(), version(3).tree()).empty());
}

TEST_CASE("the same bytes under a new ETag are another version too") {
  Pipeline pipeline;
  one_by_one(pipeline);
  pipeline.holds(version(1));
  pipeline.s3.schedule(fault::new_etag().on(nth_get(3)));
  const auto outcome = pipeline.fetch();
  REQUIRE(outcome);
  CHECK(outcome->restarts == 1);
  CHECK(difference(pipeline.tree(), version(1).tree()).empty());
}

TEST_CASE("an object that is replaced again and again is given up after three new starts") {
  Pipeline pipeline;
  one_by_one(pipeline);
  pipeline.holds(version(1));
  pipeline.s3.schedule(fault::new_etag().on({.skip = 1, .count = forever}));
  const std::string message = failure_of(pipeline, Errc::changed);
  says(message, "replaced");
  CHECK(tails(pipeline) == 4);
  CHECK(damage(pipeline.tree(), version(1).tree()).empty());
}

TEST_CASE("an object that vanishes midway") {
  Pipeline pipeline;
  one_by_one(pipeline);
  pipeline.holds(version(1));
  pipeline.s3.schedule(fault::no_such_key().on({.skip = 2, .count = forever}));
  says(failure_of(pipeline, Errc::not_found), "no such object");
  CHECK(damage(pipeline.tree(), version(1).tree()).empty());
}

TEST_CASE("expired credentials are asked for again, once") {
  FakeS3Options server;
  server.credentials = {keys_of("OLD", true), keys_of("NEW", false)};
  Pipeline pipeline(server);
  pipeline.holds(version(1));
  SECTION("and then all is well") {
    const ContainerEndpoint endpoint(pipeline, {"OLD", "NEW"});
    const auto outcome = pipeline.fetch();
    REQUIRE(outcome);
    CHECK(difference(pipeline.tree(), version(1).tree()).empty());
    CHECK(endpoint.asked() == 2);
  }
  SECTION("midway") {
    one_by_one(pipeline);
    pipeline.s3.schedule(fault::error(400, "ExpiredToken").on(nth_get(3)));
    const ContainerEndpoint endpoint(pipeline, {"NEW"});
    REQUIRE(pipeline.fetch());
    CHECK(difference(pipeline.tree(), version(1).tree()).empty());
    CHECK(endpoint.asked() == 2);
  }
  SECTION("an endpoint that has nothing better: the message says that they have expired") {
    pipeline.settings.retry.deadline =
        fetch::milliseconds(500); // else this waits for a minute where it fails
    const ContainerEndpoint endpoint(pipeline, {"OLD"});
    const std::string message = failure_of(pipeline, Errc::denied);
    says(message, "expired");
    CHECK(message.find("gave up") == std::string::npos);
    CHECK(endpoint.asked() == 2);
  }
  SECTION("nor has it where the token is another's") {
    pipeline.settings.retry.deadline = fetch::milliseconds(500);
    pipeline.s3.schedule(fault::error(400, "InvalidToken").on(every_request()));
    const ContainerEndpoint endpoint(pipeline, {"NEW"});
    const std::string message = failure_of(pipeline, Errc::denied);
    says(message, "the credentials were refused (HTTP 400 InvalidToken");
    CHECK(message.find("gave up") == std::string::npos);
    CHECK(endpoint.asked() == 2);
  }
  SECTION("keys of the environment cannot be renewed") {
    pipeline.environment["AWS_ACCESS_KEY_ID"] = "OLD";
    pipeline.environment["AWS_SECRET_ACCESS_KEY"] = "OLD-secret";
    pipeline.environment["AWS_SESSION_TOKEN"] = "OLD-token";
    says(failure_of(pipeline, Errc::denied), "expired");
    pipeline.s3.schedule(fault::error(400, "InvalidToken").on(every_request()));
    says(failure_of(pipeline, Errc::denied), "AWS_SESSION_TOKEN");
  }
}

TEST_CASE("no credentials at all") {
  Pipeline pipeline;
  pipeline.holds(version(1));
  for (const char* name : {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"})
    pipeline.environment.erase(name);
  const auto outcome = pipeline.fetch();
  REQUIRE_FALSE(outcome);
  CHECK(outcome.error().code == Errc::denied);
  says(outcome.error().message, "AWS_ACCESS_KEY_ID");
  CHECK(pipeline.gets().empty());
}

TEST_CASE("a bucket in another region is followed there") {
  FakeS3Options server = signed_only();
  server.other_region = GENERATE(301U, 307U);
  CAPTURE(server.other_region);
  Pipeline pipeline(server);
  pipeline.s3.create_bucket("bucket", "eu-central-1");
  pipeline.holds(version(1));
  SECTION("once") {
    const auto outcome = pipeline.fetch();
    REQUIRE(outcome);
    CHECK(difference(pipeline.tree(), version(1).tree()).empty());
    CHECK(pipeline.s3.requests().front().status == server.other_region);
  }
  SECTION("once also with one connection: the second request is signed for the right region") {
    one_by_one(pipeline);
    REQUIRE(pipeline.fetch());
    CHECK(difference(pipeline.tree(), version(1).tree()).empty());
    CHECK(pipeline.s3.requests()[0].status == server.other_region);
    CHECK(pipeline.s3.requests()[1].status == 206);
  }
  SECTION("without AWS_REGION") {
    pipeline.environment.erase("AWS_REGION");
    REQUIRE(pipeline.fetch());
    CHECK(difference(pipeline.tree(), version(1).tree()).empty());
  }
  SECTION("and nowhere else: a server that sends us on and on is left") {
    pipeline.s3.schedule(fault::region_redirect("eu-west-1").on({.skip = 1, .count = forever}));
    one_by_one(pipeline);
    says(failure_of(pipeline, Errc::network), "AWS_REGION");
    CHECK(pipeline.gets().size() == 2);
  }
}

TEST_CASE("a wrong clock is set by the server's") {
  Pipeline pipeline;
  pipeline.holds(version(1));
  pipeline.s3.set_clock_offset(std::chrono::hours(GENERATE(-5, 7)));
  const auto outcome = pipeline.fetch();
  REQUIRE(outcome);
  CHECK(outcome->retries >= 1);
  CHECK(difference(pipeline.tree(), version(1).tree()).empty());
}

TEST_CASE("refusals name the object and say what to do") {
  Pipeline pipeline;
  SECTION("no such key") {
    const std::string message = failure_of(pipeline, Errc::not_found);
    says(message, "no such object");
    says(message, "upload");
    CHECK(pipeline.gets().size() <= 6); // nothing is asked twice
  }
  SECTION("no such bucket") {
    pipeline.s3.remove("other", "x");
    pipeline.overrides.source = "s3://nowhere/lib.zip";
    const auto outcome = pipeline.fetch();
    REQUIRE_FALSE(outcome);
    CHECK(outcome.error().code == Errc::not_found);
    says(outcome.error().message, "s3://nowhere/lib.zip: no such bucket");
  }
  SECTION("access denied: the permission that is missing") {
    pipeline.holds(version(1));
    pipeline.s3.schedule(fault::forbidden().on(every_request()));
    const std::string message = failure_of(pipeline, Errc::denied);
    says(message, "s3:GetObject");
    says(message, "arn:aws:s3:::bucket/lib.zip");
  }
  SECTION("a wrong secret") {
    pipeline.holds(version(1));
    pipeline.environment["AWS_SECRET_ACCESS_KEY"] = "wrong-but-still-secret";
    const std::string message = failure_of(pipeline, Errc::denied);
    says(message, "AWS_SECRET_ACCESS_KEY");
    CHECK(message.find("wrong-but-still-secret") == std::string::npos);
  }
  SECTION("an unknown key") {
    pipeline.holds(version(1));
    pipeline.environment["AWS_ACCESS_KEY_ID"] = "NOBODY";
    says(failure_of(pipeline, Errc::denied), "InvalidAccessKeyId");
  }
  SECTION("not public") {
    pipeline.holds(version(1));
    pipeline.overrides.no_sign_request = true;
    says(failure_of(pipeline, Errc::denied), "not public");
  }
  CHECK(pipeline.tree().empty());
}

TEST_CASE("a presigned URL that is refused is named without its query") {
  Pipeline pipeline;
  pipeline.holds(version(1));
  pipeline.overrides.source = pipeline.s3.url() +
                              "/bucket/lib.zip?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=A%2F20200101"
                              "%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20200101T000000Z&X-Amz-Expires=60"
                              "&X-Amz-SignedHeaders=host&X-Amz-Signature=abcdef";
  const auto outcome = pipeline.fetch();
  REQUIRE_FALSE(outcome);
  CHECK(outcome.error().code == Errc::denied);
  says(outcome.error().message, "/bucket/lib.zip: access denied");
  says(outcome.error().message, "presigned");
  CHECK(outcome.error().message.find("X-Amz") == std::string::npos);
  CHECK(pipeline.trace.json().find("X-Amz") == std::string::npos);
}

TEST_CASE("what is no archive is said to be none") {
  Pipeline pipeline;
  SECTION("an empty object") {
    pipeline.s3.put("bucket", "lib.zip", "");
  }
  SECTION("a short one") {
    pipeline.s3.put("bucket", "lib.zip", "hello");
  }
  SECTION("a long one") {
    pipeline.s3.put("bucket", "lib.zip", noise(3 * mib));
  }
  SECTION("a page that a proxy put there") {
    pipeline.s3.put("bucket", "lib.zip", "<html>" + prose(300'000) + "</html>");
  }
  says(failure_of(pipeline, Errc::bad_archive), "zip");
  CHECK(pipeline.tree().empty());
}

TEST_CASE("an object that becomes shorter before its speculative ranges are answered is read anew") {
  Pipeline pipeline;
  const Archive before = version(1);
  Archive after;
  after.stored("version", "2").stored("lib/large.so", noise(100'000, 2));
  pipeline.holds(before);
  // The tail and the first megabyte are of the old version; to the next range the new one ends before it.
  pipeline.s3.schedule(fault::replace_object(after.zip().bytes).on(nth_get(3)));
  const auto outcome = pipeline.fetch();
  REQUIRE(outcome);
  CHECK(outcome->restarts == 1);
  const Tree tree = pipeline.tree();
  CHECK(tree.at("version").content == "2");
  CHECK(tree.at("lib/large.so").content == noise(100'000, 2));
}

TEST_CASE("a false 416 for a speculative range loses no bytes") {
  Pipeline pipeline;
  const Archive archive = version(1);
  pipeline.holds(archive);
  const auto begins_at = GENERATE(0U, 1U << 20U, 3U << 20U);
  When when{.begins_at = begins_at};
  pipeline.s3.schedule(fault::range_not_satisfiable().on(when));
  REQUIRE(pipeline.fetch());
  CHECK(difference(pipeline.tree(), archive.tree()).empty());
}
