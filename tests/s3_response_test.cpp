// SPDX-License-Identifier: Apache-2.0
#include "s3/endpoint.h"
#include "s3/response.h"
#include "support/catch.h"

using namespace tmpdump;
using namespace tmpdump::s3;

namespace {

net::ResponseHead partial(std::string content_range, std::uint64_t length) {
  net::ResponseHead head;
  head.status = 206;
  head.content_length = length;
  head.headers = {{"content-range", std::move(content_range)}};
  return head;
}

GetRequest slice(std::uint64_t offset, std::uint64_t length) {
  return {Slice{offset, length}, ""};
}

} // namespace

TEST_CASE("Content-Range is read strictly") {
  const auto range = parse_content_range("bytes 0-9/100");
  REQUIRE(range);
  CHECK(range->first == 0);
  CHECK(range->last == 9);
  CHECK(range->size == 100);
  for (const char* bad :
       {"", "bytes", "bytes 0-9", "bytes 0-9/*", "bytes */100", "bytes 9-0/100", "bytes 0-100/100",
        "bytes 0-9/100 ", "bytes  0-9/100", "items 0-9/100", "bytes -1-9/100", "bytes 0-9/100,1",
        "bytes 0-18446744073709551616/18446744073709551617", "bytes 0x0-9/100"}) {
    INFO(bad);
    CHECK_FALSE(parse_content_range(bad));
  }
}

TEST_CASE("an answer must be about the bytes that were asked for") {
  CHECK(check_extent(partial("bytes 10-19/100", 10), slice(10, 10)).has_value());
  SECTION("another start") {
    CHECK(check_extent(partial("bytes 11-20/100", 10), slice(10, 10)).has_error());
  }
  SECTION("more than asked") {
    CHECK(check_extent(partial("bytes 10-20/100", 11), slice(10, 10)).has_error());
  }
  SECTION("less, though the object goes on") {
    CHECK(check_extent(partial("bytes 10-18/100", 9), slice(10, 10)).has_error());
  }
  SECTION("less, because the object ends") {
    const auto extent = check_extent(partial("bytes 95-99/100", 5), slice(95, 10));
    REQUIRE(extent.has_value());
    CHECK(extent->length == 5);
  }
  SECTION("Content-Length contradicts Content-Range") {
    CHECK(check_extent(partial("bytes 10-19/100", 11), slice(10, 10)).has_error());
  }
  SECTION("no Content-Range") {
    auto head = partial("bytes 10-19/100", 10);
    head.headers.clear();
    CHECK(check_extent(head, slice(10, 10)).has_error());
  }
  SECTION("no Content-Length") {
    auto head = partial("bytes 10-19/100", 10);
    head.content_length.reset();
    CHECK(check_extent(head, slice(10, 10)).has_error());
  }
  SECTION("multipart") {
    auto head = partial("bytes 10-19/100", 10);
    head.headers.emplace_back("content-type", "multipart/byteranges; boundary=x");
    CHECK(check_extent(head, slice(10, 10)).has_error());
  }
}

TEST_CASE("the tail: exactly the last bytes, or the whole of a shorter object") {
  const GetRequest tail{Suffix{30}, ""};
  CHECK(check_extent(partial("bytes 70-99/100", 30), tail).has_value());
  CHECK(check_extent(partial("bytes 0-9/10", 10), tail).has_value());
  CHECK(check_extent(partial("bytes 60-89/100", 30), tail).has_error());
  CHECK(check_extent(partial("bytes 80-99/100", 20), tail).has_error());
}

TEST_CASE("a server that ignores Range is accepted only where the whole is what was asked for") {
  net::ResponseHead whole;
  whole.status = 200;
  whole.content_length = 100;
  CHECK(check_extent(whole, {Suffix{128}, ""}).has_value());
  CHECK(check_extent(whole, slice(0, 100)).has_value());
  const auto refused = check_extent(whole, slice(0, 10));
  REQUIRE(refused.has_error());
  CHECK(refused.error().verdict == Verdict::fatal);
  CHECK(refused.error().failure.message.find("Range") != std::string::npos);
  CHECK(check_extent(whole, {Suffix{30}, ""}).has_error());
}

TEST_CASE("an encoding that the object was stored with is taken, one that was applied is not") {
  auto named = partial("bytes 10-19/100", 10);
  named.headers.emplace_back("content-encoding", "gzip");
  CHECK(check_extent(named, slice(10, 10)).has_value());
  named.content_length = 7; // the range's ten bytes, encoded on the way
  CHECK(check_extent(named, slice(10, 10)).error().verdict == Verdict::retry_later);
  net::ResponseHead whole;
  whole.status = 200;
  whole.content_length = 100;
  whole.headers.emplace_back("content-encoding", "gzip");
  const auto refused = check_extent(whole, slice(0, 100));
  REQUIRE(refused.has_error());
  CHECK(refused.error().verdict == Verdict::fatal);
  CHECK(refused.error().failure.message.find("serve it as stored") != std::string::npos);
}

TEST_CASE("S3's error document gives code, message and region; garbage gives nothing") {
  const auto error =
      parse_error_document("<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code>"
                           "<Message>a &lt;b&gt; &amp;lt;</Message><Region>eu-west-1</Region></Error>");
  CHECK(error.code == "NoSuchKey");
  CHECK(error.message == "a <b> &lt;");
  CHECK(error.region == "eu-west-1");
  CHECK(parse_error_document("<Code>unclosed").code.empty());
  CHECK(parse_error_document("").code.empty());
  CHECK(parse_error_document("<Code>" + std::string(100'000, 'x') + "</Code>").code.size() == 512);
}

TEST_CASE("an error document that repeats a secret says nothing of it") {
  const std::string token = "FwoGZXIvYXdzEXAMPLE/token";
  const ErrorDocument told{"SignatureDoesNotMatch", "signed with " + token, "eu-west-1"};
  const auto kept = without_secrets(told, {token, "AKIDEXAMPLE", ""});
  CHECK(kept.code == told.code);
  CHECK(kept.message.empty());
  CHECK(kept.region == told.region);
  CHECK(without_secrets(told, {"", "not in it"}).message == told.message);
  CHECK(without_secrets(told, {}).message == told.message);
  // A field that was cut has a part of it: from its begin, from its end, from its middle.
  for (std::size_t at = 0; at + 12 <= token.size(); ++at) {
    const std::string part = token.substr(at, 12);
    CHECK(without_secrets({"a " + part, part + " b", part}, {token}).code.empty());
    CHECK(without_secrets({"", part + " b", ""}, {token}).message.empty());
    CHECK(without_secrets({"", "", part}, {token}).region.empty());
    CHECK_FALSE(without_secrets({"", token.substr(at, 11), ""}, {token}).message.empty());
  }
  CHECK(without_secrets({"", "the key AKID", ""}, {"AKID"}).message.empty()); // short, but all of it
}

TEST_CASE("what the SDKs retry is retried") {
  for (const unsigned status : {429U, 500U, 502U, 503U, 504U})
    CHECK(is_retryable(status, ""));
  for (const char* code : {"SlowDown", "InternalError", "RequestTimeout", "RequestTimeTooSkewed"}) {
    CHECK(is_retryable(400, code));
  }
  for (const unsigned status : {301U, 400U, 403U, 404U, 412U, 416U, 501U})
    CHECK_FALSE(is_retryable(status, ""));
  CHECK_FALSE(is_retryable(403, "AccessDenied"));
}

TEST_CASE("Retry-After and Date") {
  CHECK(parse_retry_after("2") == std::chrono::milliseconds(2000));
  CHECK(parse_retry_after("86400") == std::chrono::milliseconds(10'000));
  CHECK_FALSE(parse_retry_after("Fri, 31 Dec 1999 23:59:59 GMT"));
  CHECK_FALSE(parse_retry_after("-1"));
  const auto date = parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT");
  REQUIRE(date);
  CHECK(date->time_since_epoch() == std::chrono::seconds(784111777));
  CHECK_FALSE(parse_http_date("yesterday"));
  // What the clock's nanoseconds cannot hold, on either side, and what AWS's servers cannot mean.
  CHECK_FALSE(parse_http_date("Tue, 15 Nov 1497 08:12:31 GMT"));
  CHECK_FALSE(parse_http_date("Tue, 15 Nov 9999 08:12:31 GMT"));
  CHECK_FALSE(parse_http_date("Wed, 31 Dec 1969 23:59:59 GMT"));
  CHECK(parse_http_date("Thu, 01 Jan 1970 00:00:00 GMT"));
}

namespace {

Addressing where(const config::Options& options, const std::string& bucket, const std::string& region) {
  return address(options, {bucket, "a/b.zip"}, region);
}

} // namespace

TEST_CASE("virtual-hosted style on AWS, in every partition and variant") {
  config::Options options;
  auto a = where(options, "models", "eu-central-1");
  CHECK(a.origin.tls);
  CHECK(a.origin.host == "models.s3.eu-central-1.amazonaws.com");
  CHECK(a.path == "/a/b.zip");
  CHECK(where(options, "models", "").origin.host == "models.s3.us-east-1.amazonaws.com");
  CHECK(where(options, "models", "cn-north-1").origin.host == "models.s3.cn-north-1.amazonaws.com.cn");
  CHECK(where(options, "models", "us-iso-east-1").origin.host == "models.s3.us-iso-east-1.c2s.ic.gov");
  options.dualstack = true;
  CHECK(where(options, "models", "eu-west-1").origin.host == "models.s3.dualstack.eu-west-1.amazonaws.com");
  options.fips = true;
  CHECK(where(options, "models", "us-west-2").origin.host ==
        "models.s3-fips.dualstack.us-west-2.amazonaws.com");
  options.dualstack = false;
  CHECK(where(options, "models", "us-gov-west-1").origin.host ==
        "models.s3-fips.us-gov-west-1.amazonaws.com");
}

TEST_CASE("what a server calls a region may become a part of a host's name only if it looks like one") {
  for (const std::string region : {"eu-central-1", "us-iso-east-1", "cn-north-1"})
    CHECK(is_region(region));
  for (const std::string region :
       {"", "evil.example", "evil.example/", "x@evil.example", "x#", "x:80", "X", "a\r\nb"})
    CHECK_FALSE(is_region(region));
  CHECK_FALSE(is_region(std::string(64, 'a')));
}

TEST_CASE("path style where the bucket is no host label under S3's certificate") {
  const config::Options options;
  for (const char* bucket : {"my.bucket", "Upper", "under_score", "-dash"}) {
    const auto a = where(options, bucket, "eu-west-1");
    CHECK(a.origin.host == "s3.eu-west-1.amazonaws.com");
    CHECK(a.path == "/" + std::string(bucket) + "/a/b.zip");
  }
}

TEST_CASE("a custom endpoint is taken as it is, in path style") {
  config::Options options;
  options.endpoint = config::EndpointUrl{false, "127.0.0.1", 9000};
  const auto a = where(options, "models", "eu-west-1");
  CHECK_FALSE(a.origin.tls);
  CHECK(a.origin.host == "127.0.0.1");
  CHECK(a.origin.port == 9000);
  CHECK(a.path == "/models/a/b.zip");
}
