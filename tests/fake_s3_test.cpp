// SPDX-License-Identifier: Apache-2.0
// The fake answers as S3 does. Its signatures, faults, and its life as a server have files of their own.
#include "support/catch.h"
#include "support/fake_s3.h"
#include "support/fake_s3/aws_chunked.h"
#include "support/fake_s3/range.h"
#include "support/fake_s3/service.h"
#include "support/raw_client.h"

using namespace tmpdump::test;

namespace {

const std::string letters = "abcdefghijklmnopqrstuvwxyz";

std::string range(const std::string& value) {
  return "Range: " + value + "\r\n";
}

Address address(const std::string& host, const std::string& target) {
  Request request;
  request.target = target;
  request.headers = {{"host", host}};
  return address_of(request);
}

} // namespace

TEST_CASE("a GET brings the object and what S3 says about it") {
  FakeS3 server;
  server.put("bucket", "dir/key", letters);
  RawClient client(server.port());
  const RawResponse response = client.get("/bucket/dir/key");
  CHECK(response.version == "HTTP/1.1");
  CHECK(response.status == 200);
  CHECK(response.body == letters);
  CHECK(response.header("content-length") == "26");
  CHECK(response.header("accept-ranges") == "bytes");
  CHECK(response.header("etag") == "\"c3fcd3d76192e4007dfb496cca67e13b\""); // md5 of the alphabet
  CHECK(response.header("etag") == server.etag("bucket", "dir/key"));
  CHECK_FALSE(response.header("last-modified").empty());
  CHECK_FALSE(response.header("date").empty());
  CHECK_FALSE(response.header("x-amz-request-id").empty());
  CHECK(client.get("/bucket/dir/key").body == letters); // the connection is kept
  CHECK(server.connections() == 1);
}

TEST_CASE("ranges are inclusive, RFC 9110 section 14") {
  struct Case {
    std::string header;
    unsigned status;
    std::string body, content_range;
  };
  const std::vector<Case> cases = {
      {"bytes=0-0", 206, "a", "bytes 0-0/26"},
      {"bytes=0-9", 206, "abcdefghij", "bytes 0-9/26"},
      {"bytes=25-25", 206, "z", "bytes 25-25/26"},
      {"bytes=23-", 206, "xyz", "bytes 23-25/26"},
      {"bytes=0-", 206, letters, "bytes 0-25/26"},
      {"bytes=-3", 206, "xyz", "bytes 23-25/26"},
      {"bytes=-26", 206, letters, "bytes 0-25/26"},
      {"bytes=-1000", 206, letters, "bytes 0-25/26"}, // longer than the object: all of it
      {"bytes=20-1000", 206, "uvwxyz", "bytes 20-25/26"},
      {"bytes=20-99999999999999999999999", 206, "uvwxyz", "bytes 20-25/26"},
      {"BYTES=1-2", 206, "bc", "bytes 1-2/26"},
      {"bytes=26-", 416, "", "bytes */26"},
      {"bytes=26-30", 416, "", "bytes */26"},
      {"bytes=99999999999999999999999-", 416, "", "bytes */26"},
      {"bytes=-0", 416, "", "bytes */26"},
      // Not valid, or more than one: as if there were no Range.
      {"bytes=5-4", 200, letters, ""},
      {"bytes=a-4", 200, letters, ""},
      {"bytes=-", 200, letters, ""},
      {"bytes=5", 200, letters, ""},
      {"bytes=0-1,3-4", 200, letters, ""},
      {"bytes=+1-2", 200, letters, ""},
      {"bytes 0-1", 200, letters, ""},
      {"items=0-1", 200, letters, ""},
  };
  FakeS3 server;
  server.put("b", "k", letters);
  RawClient client(server.port());
  for (const Case& c : cases) {
    INFO(c.header);
    const RawResponse response = client.get("/b/k", range(c.header));
    CHECK(response.status == c.status);
    CHECK(response.header("content-range") == c.content_range);
    if (c.status != 416)
      CHECK(response.body == c.body);
    else
      CHECK(response.body.find("<Code>InvalidRange</Code>") != std::string::npos);
  }
}

TEST_CASE("every range of a small object is the slice that it names") {
  FakeS3 server;
  const std::string text = "0123456";
  server.put("b", "k", text);
  RawClient client(server.port());
  for (std::size_t first = 0; first < text.size(); ++first) {
    for (std::size_t last = first; last < text.size() + 2; ++last) {
      const auto response =
          client.get("/b/k", range("bytes=" + std::to_string(first) + "-" + std::to_string(last)));
      CHECK(response.body == text.substr(first, last - first + 1));
    }
  }
}

TEST_CASE("an empty object has no ranges") {
  FakeS3 server;
  server.put("b", "empty", "");
  RawClient client(server.port());
  CHECK(client.get("/b/empty").status == 200);
  CHECK(client.get("/b/empty").body.empty());
  CHECK(client.get("/b/empty", range("bytes=0-")).status == 416);
  CHECK(client.get("/b/empty", range("bytes=-5")).status == 416);
}

TEST_CASE("a HEAD tells the length and sends no body") {
  FakeS3 server;
  server.put("b", "k", letters);
  RawClient client(server.port());
  CHECK(client.ask("HEAD", "/b/k").header("content-length") == "26");
  const RawResponse part = client.ask("HEAD", "/b/k", range("bytes=-4"));
  CHECK(part.status == 206);
  CHECK(part.header("content-length") == "4");
  CHECK(client.ask("HEAD", "/b/none").status == 404);
  CHECK(client.get("/b/k").body == letters); // nothing was left over in between
}

TEST_CASE("If-Match pins the version") {
  FakeS3 server;
  server.put("b", "k", letters);
  const std::string etag = server.etag("b", "k");
  RawClient client(server.port());
  CHECK(client.get("/b/k", "If-Match: " + etag + "\r\n" + range("bytes=0-1")).status == 206);
  CHECK(client.get("/b/k", "If-Match: \"x\", " + etag + "\r\n").status == 200);
  CHECK(client.get("/b/k", "If-Match: *\r\n").status == 200);
  CHECK(client.get("/b/k", "If-Match: W/" + etag + "\r\n").status == 412);
  server.put("b", "k", "another version");
  const RawResponse changed = client.get("/b/k", "If-Match: " + etag + "\r\n" + range("bytes=0-1"));
  CHECK(changed.status == 412);
  CHECK(changed.body.find("<Error><Code>PreconditionFailed</Code>") != std::string::npos);
}

TEST_CASE("what is not there has S3's names for it") {
  FakeS3 server;
  server.put("b", "k", letters);
  RawClient client(server.port());
  const RawResponse no_key = client.get("/b/no%3Cpe");
  CHECK(no_key.status == 404);
  CHECK(no_key.header("content-type") == "application/xml");
  CHECK(no_key.header("transfer-encoding") == "chunked");
  CHECK(no_key.body.find("<Code>NoSuchKey</Code>") != std::string::npos);
  CHECK(no_key.body.find("<Key>no&lt;pe</Key>") != std::string::npos);
  const RawResponse no_bucket = client.get("/nope/k");
  CHECK(no_bucket.status == 404);
  CHECK(no_bucket.body.find("<Code>NoSuchBucket</Code>") != std::string::npos);
  CHECK(client.ask("DELETE", "/b/k").status == 405);
  CHECK(client.get("/b/k?acl").status == 501);
  server.remove("b", "k");
  CHECK(client.get("/b/k").status == 404);
}

TEST_CASE("keys are decoded as S3 does, where a bare plus is a space") {
  FakeS3 server;
  server.put("b", "a+b c/\xc3\xbc~'(1)", "odd");
  server.put("b", "a b", "space");
  RawClient client(server.port());
  CHECK(client.get("/b/a%2Bb%20c/%C3%BC~%27%281%29").body == "odd");
  CHECK(client.get("/b/a%2bb%20c/%c3%bc%7E'(1)").body == "odd");
  CHECK(client.get("/b/a+b").body == "space");
}

TEST_CASE("the bucket stands in the path or in the host") {
  const auto check = [](const std::string& host, const std::string& target, const std::string& bucket,
                        const std::string& key, const std::string& region) {
    INFO(host << target);
    const Address a = address(host, target);
    CHECK(a.bucket == bucket);
    CHECK(a.key == key);
    CHECK(a.region == region);
  };
  check("127.0.0.1:9000", "/b/k/l", "b", "k/l", "");
  check("[::1]:9000", "/b/k", "b", "k", "");
  check("localhost", "/b", "b", "", "");
  check("localhost", "/", "", "", "");
  check("b.localhost:9000", "/k/l", "b", "k/l", "");
  check("s3.eu-west-1.amazonaws.com", "/b/k", "b", "k", "eu-west-1");
  check("b.s3.eu-west-1.amazonaws.com", "/k", "b", "k", "eu-west-1");
  check("B.S3.EU-WEST-1.amazonaws.com:443", "/k", "b", "k", "eu-west-1");
  check("my.dotted.s3.eu-west-1.amazonaws.com", "/k", "my.dotted", "k", "eu-west-1");
  check("b.s3.dualstack.eu-west-1.amazonaws.com", "/k", "b", "k", "eu-west-1");
  check("b.s3-fips.us-gov-west-1.amazonaws.com", "/k", "b", "k", "us-gov-west-1");
  check("b.s3-fips.dualstack.us-east-1.amazonaws.com", "/k", "b", "k", "us-east-1");
  check("b.s3-eu-west-1.amazonaws.com", "/k", "b", "k", "eu-west-1");
  check("b.s3.amazonaws.com", "/k", "b", "k", "us-east-1");
  check("s3.amazonaws.com", "/b/k", "b", "k", "us-east-1");
}

TEST_CASE("virtual-hosted requests reach the object") {
  FakeS3 server;
  server.put("bucket", "k", letters);
  RawClient client(server.port());
  CHECK(client.ask("GET", "/k", "", "", "bucket.localhost:1234").body == letters);
  CHECK(client.ask("GET", "/k", "", "", "bucket.s3.us-east-1.amazonaws.com").body == letters);
}

TEST_CASE("a bucket of another region redirects to it") {
  FakeS3 server;
  server.create_bucket("far", "eu-west-1");
  server.put("far", "k", letters);
  RawClient client(server.port());
  const RawResponse moved = client.get("/far/k");
  CHECK(moved.status == 301);
  CHECK(moved.header("x-amz-bucket-region") == "eu-west-1");
  CHECK(moved.body.find("<Code>PermanentRedirect</Code>") != std::string::npos);
  CHECK(client.ask("GET", "/k", "", "", "far.s3.us-east-1.amazonaws.com").status == 301);
  CHECK(client.ask("GET", "/k", "", "", "far.s3.eu-west-1.amazonaws.com").body == letters);
}

TEST_CASE("listings carry prefixes, pages and odd names") {
  FakeS3 server;
  for (const char* key : {"a/1", "a/2", "b", "c&d", "e/f/g"})
    server.put("b", key, letters);
  RawClient client(server.port());
  const std::string all = client.get("/b?list-type=2").body;
  CHECK(all.find("<KeyCount>5</KeyCount>") != std::string::npos);
  CHECK(all.find("<Key>c&amp;d</Key>") != std::string::npos);
  const std::string top = client.get("/b?list-type=2&delimiter=%2F&prefix=&encoding-type=url").body;
  CHECK(top.find("<CommonPrefixes><Prefix>a/</Prefix></CommonPrefixes>") != std::string::npos);
  CHECK(top.find("<Key>c%26d</Key>") != std::string::npos);
  CHECK(top.find("<Key>a/1</Key>") == std::string::npos);
  const std::string page = client.get("/b?list-type=2&max-keys=2").body;
  CHECK(page.find("<IsTruncated>true</IsTruncated>") != std::string::npos);
  CHECK(page.find("<NextContinuationToken>a/2</NextContinuationToken>") != std::string::npos);
  const std::string next = client.get("/b?list-type=2&continuation-token=a/2").body;
  CHECK(next.find("<KeyCount>3</KeyCount>") != std::string::npos);
}

TEST_CASE("a PUT stores the object, also from aws-chunked") {
  FakeS3 server;
  RawClient client(server.port());
  CHECK(client.ask("PUT", "/b").status == 200);
  const RawResponse stored = client.ask("PUT", "/b/k", "", letters);
  CHECK(stored.status == 200);
  CHECK(stored.header("etag") == "\"c3fcd3d76192e4007dfb496cca67e13b\"");
  CHECK(client.get("/b/k").body == letters);
  CHECK(client
            .ask("PUT", "/b/c", "x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\r\n",
                 "3\r\nabc\r\n2;chunk-signature=00\r\nde\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n")
            .status == 200);
  CHECK(client.get("/b/c").body == "abcde");
}

TEST_CASE("aws-chunked bodies that end early are refused at every offset") {
  const std::string body = "3\r\nabc\r\nA\r\n0123456789\r\n0\r\n";
  CHECK(decode_aws_chunked(body) == "abc0123456789");
  for (std::size_t size = 0; size < body.size(); ++size) {
    INFO(size);
    CHECK_FALSE(decode_aws_chunked(body.substr(0, size)).has_value());
  }
  CHECK_FALSE(decode_aws_chunked("ffffffffffffffff\r\nabc\r\n0\r\n").has_value());
  CHECK_FALSE(decode_aws_chunked("x\r\nabc\r\n0\r\n").has_value());
}

TEST_CASE("Expect: 100-continue is answered before the body comes") {
  FakeS3 server;
  server.create_bucket("b");
  RawClient client(server.port());
  client.send("PUT /b/k HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
  CHECK(client.receive().status == 100);
  client.send("abc");
  CHECK(client.receive().status == 200);
}

TEST_CASE("requests may come in pieces or several at once") {
  FakeS3 server;
  server.put("b", "k", letters);
  const std::string request = "GET /b/k HTTP/1.1\r\nHost: x\r\nRange: bytes=0-2\r\n\r\n";
  RawClient pieces(server.port());
  for (const char c : request)
    pieces.send({&c, 1});
  CHECK(pieces.receive().body == "abc");
  RawClient together(server.port());
  together.send(request + request + request);
  for (int i = 0; i < 3; ++i)
    CHECK(together.receive().body == "abc");
}

TEST_CASE("what is no HTTP is told so") {
  FakeS3 server;
  for (const std::string bytes :
       {"\x16\x03\x01\x02\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/1.1\r\nbad header\r\n\r\n"}) {
    RawClient client(server.port());
    client.send(bytes);
    const RawResponse response = client.receive();
    CHECK(response.status == 400);
  }
  RawClient endless(server.port());
  endless.send("GET / HTTP/1.1\r\nx: " + std::string(100'000, 'x'));
  CHECK(endless.receive().status == 400);
}
