// SPDX-License-Identifier: Apache-2.0
// The fake's signature check against AWS's published examples: it takes them, and nothing that differs in a
// bit. https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html and
// sigv4-query-string-auth.html
#include "support/catch.h"
#include "support/fake_s3/auth.h"
#include "support/raw_client.h"

using namespace tmpdump::test;
using namespace std::chrono_literals;

namespace {

constexpr std::time_t example_time = 1'369'353'600; // 2013-05-24T00:00:00Z
const std::string empty_hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const std::vector<FakeCredentials> example_keys = {
    {.access_key = "AKIAIOSFODNN7EXAMPLE", .secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}};

std::string authorization(const std::string& signed_headers, const std::string& signature) {
  return "AWS4-HMAC-SHA256 "
         "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=" +
         signed_headers + ",Signature=" + signature;
}

Request example_get() {
  Request request;
  request.method = "GET";
  request.target = "/test.txt";
  request.headers = {
      {"host", "examplebucket.s3.amazonaws.com"},
      {"authorization", authorization("host;range;x-amz-content-sha256;x-amz-date",
                                      "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")},
      {"range", "bytes=0-9"},
      {"x-amz-content-sha256", empty_hash},
      {"x-amz-date", "20130524T000000Z"}};
  return request;
}

Request example_put() {
  Request request;
  request.method = "PUT";
  request.target = "/test$file.text";
  request.body = "Welcome to Amazon S3.";
  request.headers = {
      {"host", "examplebucket.s3.amazonaws.com"},
      {"date", "Fri, 24 May 2013 00:00:00 GMT"},
      {"authorization", authorization("date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
                                      "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd")},
      {"x-amz-content-sha256", "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"},
      {"x-amz-date", "20130524T000000Z"},
      {"x-amz-storage-class", "REDUCED_REDUNDANCY"}};
  return request;
}

Request example_list(const std::string& query, const std::string& signature) {
  Request request;
  request.method = "GET";
  request.target = "/?" + query;
  request.headers = {{"host", "examplebucket.s3.amazonaws.com"},
                     {"authorization", authorization("host;x-amz-content-sha256;x-amz-date", signature)},
                     {"x-amz-content-sha256", empty_hash},
                     {"x-amz-date", "20130524T000000Z"}};
  return request;
}

Request example_presigned() {
  Request request;
  request.method = "GET";
  request.target =
      "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2F"
      "us-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&"
      "X-Amz-SignedHeaders=host&X-Amz-Signature="
      "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
  request.headers = {{"host", "examplebucket.s3.amazonaws.com"}};
  return request;
}

// S3's code, or "" where the request is allowed.
std::string verdict(const Request& request, std::time_t now = example_time,
                    const std::vector<FakeCredentials>& keys = example_keys,
                    const std::string& region = "us-east-1") {
  const auto [signature, error] = read_signature(request);
  if (error) return error->code;
  const auto refused = check_signature(request, signature, keys, region, now);
  return refused ? refused->code : "";
}

std::string& header(Request& request, std::string_view name) {
  for (auto& [key, value] : request.headers)
    if (key == name) return value;
  throw std::logic_error("no such header");
}

} // namespace

TEST_CASE("AWS's own examples are accepted") {
  CHECK(verdict(example_get()).empty());
  CHECK(verdict(example_put()).empty());
  CHECK(verdict(example_list("lifecycle", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"))
            .empty());
  CHECK(verdict(example_list("max-keys=2&prefix=J",
                             "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"))
            .empty());
  CHECK(verdict(example_presigned()).empty());
}

TEST_CASE("other spellings of the same request are accepted") {
  Request request = example_get();
  request.target = "/%74est%2Etxt";
  CHECK(verdict(request).empty());
  request = example_get();
  header(request, "authorization").insert(header(request, "authorization").find(",Signed") + 1, "  ");
  CHECK(verdict(request).empty());
  request =
      example_list("prefix=J&max-keys=2", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
  CHECK(verdict(request).empty());
  request = example_get();
  request.headers.emplace_back("user-agent", "not signed");
  CHECK(verdict(request).empty());
}

TEST_CASE("no bit of the signature may differ") {
  Request right = example_get();
  const std::string value = header(right, "authorization");
  const auto begin = value.find("Signature=") + 10;
  for (std::size_t at = begin; at < value.size(); ++at) {
    for (int bit = 0; bit < 7; ++bit) {
      Request request = right;
      char& c = header(request, "authorization")[at];
      c = static_cast<char>(c ^ (1 << bit));
      CHECK_FALSE(verdict(request).empty());
    }
  }
  Request request = example_presigned();
  for (std::size_t at = request.target.size() - 64; at < request.target.size(); ++at) {
    Request flipped = request;
    flipped.target[at] = flipped.target[at] == '0' ? '1' : '0';
    CHECK(verdict(flipped) == "SignatureDoesNotMatch");
  }
}

TEST_CASE("nothing that is signed may differ") {
  const auto changed = [](auto change) {
    Request request = example_get();
    change(request);
    return verdict(request);
  };
  CHECK(changed([](Request& r) { r.method = "HEAD"; }) == "SignatureDoesNotMatch");
  CHECK(changed([](Request& r) { r.target = "/Test.txt"; }) == "SignatureDoesNotMatch");
  CHECK(changed([](Request& r) { r.target = "//test.txt"; }) == "SignatureDoesNotMatch"); // not normalized
  CHECK(changed([](Request& r) { r.target += "?x-id=GetObject"; }) == "SignatureDoesNotMatch");
  CHECK(changed([](Request& r) { header(r, "range") = "bytes=0-8"; }) == "SignatureDoesNotMatch");
  CHECK(changed([](Request& r) { header(r, "host") = "otherbucket.s3.amazonaws.com"; }) ==
        "SignatureDoesNotMatch");
  CHECK(changed([](Request& r) { header(r, "x-amz-date") = "20130524T000001Z"; }) == "SignatureDoesNotMatch");
  CHECK(changed([](Request& r) { r.headers.emplace_back("range", "bytes=0-8"); }) == "SignatureDoesNotMatch");
  CHECK(changed([](Request& r) { r.body = "a body that was not signed"; }) == "XAmzContentSHA256Mismatch");
  CHECK(changed([](Request& r) { r.headers.emplace_back("x-amz-meta-a", "b"); }) == "AccessDenied");
  CHECK(changed([](Request& r) { r.headers.emplace_back("x-amz-security-token", "t"); }) == "InvalidToken");
  CHECK(changed([](Request& r) {
          std::erase_if(r.headers, [](auto& h) { return h.first == "x-amz-date"; });
        }) == "AccessDenied");
  CHECK(changed([](Request& r) {
          std::erase_if(r.headers, [](auto& h) { return h.first == "authorization"; });
        }) == "AccessDenied");
  CHECK(changed([](Request& r) { r.target = example_presigned().target; }) ==
        "InvalidArgument"); // both forms

  CHECK(changed([](Request& r) {
          std::erase_if(r.headers, [](auto& h) { return h.first == "x-amz-content-sha256"; });
        }) == "InvalidRequest");

  Request presigned = example_presigned();
  presigned.target.replace(presigned.target.find("86400"), 5, "86401");
  CHECK(verdict(presigned) == "SignatureDoesNotMatch");
}

TEST_CASE("malformed authorizations are refused") {
  const auto with = [](const std::string& value) {
    Request request = example_get();
    header(request, "authorization") = value;
    return verdict(request);
  };
  CHECK(with("AWS AKIAIOSFODNN7EXAMPLE:frJIUN8DYpKDtOLCwo//yllqDzg=") == "InvalidRequest"); // version 2
  CHECK(with("Basic dTpw") == "InvalidRequest");
  CHECK(with("AWS4-HMAC-SHA256 ") == "AuthorizationHeaderMalformed");
  Request original = example_get();
  const std::string right = header(original, "authorization");
  for (std::size_t size = 16; size < right.size(); ++size) {
    INFO(size);
    CHECK_FALSE(with(right.substr(0, size)).empty());
  }
  Request request = example_presigned();
  for (std::size_t size = request.target.find('?') + 1; size < request.target.size(); ++size) {
    Request shorter = request;
    shorter.target.resize(size);
    INFO(shorter.target);
    CHECK_FALSE(verdict(shorter).empty());
  }
}

TEST_CASE("time, region, service and keys count") {
  CHECK(verdict(example_get(), example_time + 900).empty());
  CHECK(verdict(example_get(), example_time + 901) == "RequestTimeTooSkewed");
  CHECK(verdict(example_get(), example_time - 901) == "RequestTimeTooSkewed");
  CHECK(verdict(example_presigned(), example_time + 86'400).empty());
  CHECK(verdict(example_presigned(), example_time + 86'401) == "AccessDenied");
  CHECK(verdict(example_presigned(), example_time - 901) == "AccessDenied");
  CHECK(verdict(example_get(), example_time, example_keys, "eu-west-1") == "AuthorizationHeaderMalformed");

  auto keys = example_keys;
  keys[0].access_key = "AKIAOTHER";
  CHECK(verdict(example_get(), example_time, keys) == "InvalidAccessKeyId");
  keys = example_keys;
  keys[0].secret_key.back() = 'Z';
  CHECK(verdict(example_get(), example_time, keys) == "SignatureDoesNotMatch");
  keys = example_keys;
  keys[0].expired = true;
  CHECK(verdict(example_get(), example_time, keys) == "ExpiredToken");
  keys = example_keys;
  keys[0].session_token = "token";
  CHECK(verdict(example_get(), example_time, keys) == "InvalidToken");
}

TEST_CASE("a server with credentials lets nobody in without a signature") {
  FakeS3 server({.credentials = example_keys});
  server.put("examplebucket", "test.txt", "Welcome to Amazon S3.");
  RawClient client(server.port());
  const RawResponse anonymous = client.get("/examplebucket/test.txt");
  CHECK(anonymous.status == 403);
  CHECK(anonymous.body.find("<Code>AccessDenied</Code>") != std::string::npos);

  std::string lines;
  for (const auto& [name, value] : example_get().headers)
    if (name != "host") lines.append(name).append(": ").append(value).append("\r\n");
  const auto today = [&] {
    return client.ask("GET", "/test.txt", lines, "", "examplebucket.s3.amazonaws.com");
  };
  CHECK(today().body.find("<Code>RequestTimeTooSkewed</Code>") != std::string::npos);
  server.set_clock_offset(std::chrono::seconds(example_time - std::time(nullptr)));
  const RawResponse then = today();
  CHECK(then.status == 206);
  CHECK(then.body == "Welcome to");
  REQUIRE(server.wait_for_finished(3, 10s));
  CHECK(server.requests()[2].signed_how == SignedHow::header);
}
