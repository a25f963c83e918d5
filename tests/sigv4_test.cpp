// SPDX-License-Identifier: Apache-2.0
// The examples that AWS publishes, from the two pages that s3/sigv4.h names. tests/sigv4_oracle.py adds
// random requests, signed by botocore.
#include "s3/sigv4.h"
#include "support/catch.h"

using namespace tmpdump;
using namespace tmpdump::s3;
using namespace std::chrono_literals;

namespace {

const credentials::Credentials example_keys{
    "AKIAIOSFODNN7EXAMPLE", Secret(std::string("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")), {}, {}};
const SigningScope us_east_1{"us-east-1"};
const std::chrono::system_clock::time_point may_24_2013 = std::chrono::sys_days{std::chrono::May / 24 / 2013};

SigningRequest example(std::string_view path) {
  SigningRequest request;
  request.host = "examplebucket.s3.amazonaws.com";
  request.path = path;
  request.payload_hash = empty_payload_hash;
  return request;
}

std::string authorization(const SigningRequest& request) {
  return std::string(sign(request, example_keys, us_east_1, may_24_2013).authorization.reveal());
}

std::string expected(std::string_view signed_headers, std::string_view signature) {
  return std::string("AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, ")
      .append("SignedHeaders=")
      .append(signed_headers)
      .append(", Signature=")
      .append(signature);
}

} // namespace

TEST_CASE("AWS's example: GET object with a range") {
  SigningRequest request = example("/test.txt");
  request.headers = {{"Range", "bytes=0-9"}};
  const std::string canonical = canonical_request(request, example_keys, "20130524T000000Z");
  CHECK(canonical == "GET\n"
                     "/test.txt\n"
                     "\n"
                     "host:examplebucket.s3.amazonaws.com\n"
                     "range:bytes=0-9\n"
                     "x-amz-content-sha256:"
                     "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
                     "x-amz-date:20130524T000000Z\n"
                     "\n"
                     "host;range;x-amz-content-sha256;x-amz-date\n"
                     "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(string_to_sign(canonical, us_east_1, "20130524T000000Z") ==
        "AWS4-HMAC-SHA256\n"
        "20130524T000000Z\n"
        "20130524/us-east-1/s3/aws4_request\n"
        "7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972");
  CHECK(authorization(request) ==
        expected("host;range;x-amz-content-sha256;x-amz-date",
                 "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"));
  const SignedHeaders headers = sign(request, example_keys, us_east_1, may_24_2013);
  CHECK(headers.amz_date == "20130524T000000Z");
  CHECK(headers.content_sha256 == empty_payload_hash);
  CHECK(headers.security_token.empty());
}

TEST_CASE("AWS's example: PUT object") {
  SigningRequest request = example("/test$file.text");
  request.method = "PUT";
  request.headers = {{"x-amz-storage-class", "REDUCED_REDUNDANCY"},
                     {"Date", "Fri, 24 May 2013 00:00:00 GMT"}};
  request.payload_hash = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
  CHECK(authorization(request) ==
        expected("date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
                 "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"));
}

TEST_CASE("AWS's example: GET bucket lifecycle") {
  SigningRequest request = example("/");
  request.query = {{"lifecycle", ""}};
  CHECK(authorization(request) ==
        expected("host;x-amz-content-sha256;x-amz-date",
                 "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"));
}

TEST_CASE("AWS's example: list objects, parameters in any order") {
  SigningRequest request = example("/");
  request.query = {{"prefix", "J"}, {"max-keys", "2"}};
  CHECK(authorization(request) ==
        expected("host;x-amz-content-sha256;x-amz-date",
                 "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"));
}

TEST_CASE("AWS's example: a presigned URL") {
  CHECK(presign(example("/test.txt"), example_keys, us_east_1, may_24_2013, 24h).reveal() ==
        "X-Amz-Algorithm=AWS4-HMAC-SHA256"
        "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
        "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
        "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
}

TEST_CASE("a session token is signed and handed back for its header") {
  credentials::Credentials keys = example_keys;
  keys.session_token = Secret(std::string("a token"));
  const SignedHeaders headers = sign(example("/a"), keys, us_east_1, may_24_2013);
  CHECK(headers.security_token.reveal() == "a token");
  CHECK(headers.authorization.reveal().find("x-amz-date;x-amz-security-token,") != std::string_view::npos);
  CHECK(presign(example("/a"), keys, us_east_1, may_24_2013, 1s)
            .reveal()
            .find("&X-Amz-Security-Token=a%20token&") != std::string_view::npos);
}

TEST_CASE("a key is encoded once and never normalized") {
  CHECK(uri_encode("/a//b/./../c d+%2F~*'\"", true) == "/a//b/./../c%20d%2B%252F~%2A%27%22");
  CHECK(uri_encode("/gr\xc3\xbc\xc3\x9f", false) == "%2Fgr%C3%BC%C3%9F");
  CHECK(uri_encode(std::string_view("\0\xff", 2), true) == "%00%FF");
  const std::string path = canonical_request(example("/.."), example_keys, "20130524T000000Z");
  CHECK(path.substr(0, 8) == "GET\n/..\n");
}

TEST_CASE("dates are UTC and padded, also in a leap year and before the epoch's first second is over") {
  const auto date = [](std::chrono::system_clock::time_point at) {
    return sign(example("/"), example_keys, us_east_1, at).amz_date;
  };
  CHECK(date(std::chrono::sys_days{std::chrono::February / 29 / 2024} + 3h + 4min + 5s + 999ms) ==
        "20240229T030405Z");
  CHECK(date(std::chrono::system_clock::time_point{}) == "19700101T000000Z");
  CHECK(date(std::chrono::sys_days{std::chrono::January / 1 / 2025} - 1ns) == "20241231T235959Z");
}

TEST_CASE("every part of the request changes the signature") {
  const auto signature =
      [](const SigningRequest& request, const credentials::Credentials& keys = example_keys,
         const SigningScope& scope = us_east_1, std::chrono::system_clock::time_point at = may_24_2013) {
        const SignedHeaders headers = sign(request, keys, scope, at);
        const std::string_view text = headers.authorization.reveal();
        return std::string(text.substr(text.find("Signature=")));
      };
  const SigningRequest base = example("/key");
  const std::string original = signature(base);
  SigningRequest changed = base;
  changed.method = "HEAD";
  CHECK(signature(changed) != original);
  changed = base;
  changed.host = "examplebucket.s3.amazonaws.com:8443";
  CHECK(signature(changed) != original);
  changed = base;
  changed.path = "/Key";
  CHECK(signature(changed) != original);
  changed = base;
  changed.query = {{"partNumber", "1"}};
  CHECK(signature(changed) != original);
  changed = base;
  changed.headers = {{"if-match", "\"etag\""}};
  CHECK(signature(changed) != original);
  changed = base;
  changed.payload_hash = "UNSIGNED-PAYLOAD";
  CHECK(signature(changed) != original);
  credentials::Credentials keys = example_keys;
  keys.secret_access_key = Secret(std::string("other"));
  CHECK(signature(base, keys) != original);
  CHECK(signature(base, example_keys, {"eu-west-1"}) != original);
  CHECK(signature(base, example_keys, {"us-east-1", "s3express"}) != original);
  CHECK(signature(base, example_keys, us_east_1, may_24_2013 + 1s) != original);
}
