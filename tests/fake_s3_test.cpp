// SPDX-License-Identifier: Apache-2.0
// The fake answers as S3 does. Its faults are in fake_s3_fault_test.cpp.
#include "support/catch.h"
#include "support/fake_s3.h"
#include "support/fake_s3/aws_chunked.h"
#include "support/fake_s3/range.h"
#include "support/fake_s3/service.h"
#include "support/fake_s3/shaper.h"
#include "support/raw_client.h"

#include <filesystem>
#include <fstream>

using namespace tmpdump::test;
using namespace std::chrono_literals;

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

TEST_CASE("the log says who asked what") {
  FakeS3 server;
  server.put("b", "k", letters);
  RawClient first(server.port());
  first.get("/b/k", range("bytes=5-9") + "If-Match: *\r\n");
  RawClient second(server.port());
  second.get("/b/k?X-Amz-Algorithm=AWS4-HMAC-SHA256", range("bytes=-4"));
  second.ask("HEAD", "/b/none");
  REQUIRE(server.wait_for_finished(3, 10s));
  const auto log = server.requests();
  REQUIRE(log.size() == 3);
  CHECK(log[0].number == 1);
  CHECK(log[0].connection == 1);
  CHECK(log[0].method == "GET");
  CHECK(log[0].target == "/b/k");
  CHECK(log[0].bucket == "b");
  CHECK(log[0].key == "k");
  CHECK(log[0].range == "bytes=5-9");
  CHECK(log[0].if_match == "*");
  CHECK(log[0].first_byte == 5);
  CHECK(log[0].length == 5);
  CHECK(log[0].status == 206);
  CHECK(log[0].body_bytes_sent == 5);
  CHECK(log[0].finished);
  CHECK(log[0].signed_how == SignedHow::not_signed);
  CHECK(log[1].connection == 2);
  CHECK(log[1].first_byte == 22);
  CHECK(log[1].signed_how == SignedHow::presigned);
  CHECK(log[1].at >= log[0].at);
  CHECK(log[2].status == 404);
  CHECK_FALSE(log[2].first_byte.has_value());
}

TEST_CASE("connections can be cut from outside, busy or idle") {
  FakeS3 server({.threads = 2});
  server.put("b", "k", letters);
  server.schedule(fault::stall(3).on(nth_get(2)));
  RawClient idle(server.port());
  CHECK(idle.get("/b/k").status == 200);
  RawClient busy(server.port());
  busy.send("GET /b/k HTTP/1.1\r\nHost: x\r\n\r\n");
  REQUIRE(busy.receive_until("\r\n\r\nabc"));
  server.reset_connections();
  idle.receive_all();
  CHECK(idle.ending() == Ending::reset);
  busy.receive_all();
  CHECK(busy.ending() == Ending::reset);
  RawClient fresh(server.port());
  CHECK(fresh.get("/b/k").status == 200);
}

TEST_CASE("a root is served as it is on disk, and nothing beside it") {
  namespace fs = std::filesystem;
  std::string pattern = (fs::temp_directory_path() / "fake_s3_test.XXXXXX").string();
  REQUIRE(mkdtemp(pattern.data()) != nullptr);
  const fs::path top = pattern;
  fs::create_directories(top / "root/b/dir");
  std::ofstream(top / "secret") << "secret";
  std::ofstream(top / "root/b/dir/k") << letters;
  {
    FakeS3 server({.root = (top / "root").string()});
    RawClient client(server.port());
    const RawResponse response = client.get("/b/dir/k", range("bytes=-2"));
    CHECK(response.body == "yz");
    const std::string etag = response.header("etag");
    CHECK(client.get("/b/dir/k", "If-Match: " + etag + "\r\n").status == 200);
    for (const char* target : {"/b/../../secret", "/b/%2E%2E/%2e%2e/secret", "/../secret", "/b//etc/passwd",
                               "/b/dir", "/b/dir/./k", "/b/dir/k%00x"}) {
      INFO(target);
      CHECK(client.get(target).status == 404);
    }
    CHECK(client.ask("PUT", "/b/new", "", "x").status == 403);
    CHECK(client.ask("PUT", "/c").status == 403);
    CHECK(client.get("/b?list-type=2").body.find("<Key>dir/k</Key>") != std::string::npos);
    std::ofstream(top / "root/b/dir/k") << "longer than the alphabet has letters";
    CHECK(client.get("/b/dir/k", "If-Match: " + etag + "\r\n").status == 412);
  }
  fs::remove_all(top);
}

TEST_CASE("large bodies arrive whole, over TCP and TLS, from several threads") {
  std::string big(40'000'000, '\0');
  std::uint32_t state = 1;
  for (char& c : big) {
    state = state * 1'664'525 + 1'013'904'223;
    c = static_cast<char>(state >> 24);
  }
  FakeS3 plain({.threads = 2});
  plain.put("b", "big", big);
  RawClient one(plain.port());
  RawClient two(plain.port());
  one.send("GET /b/big HTTP/1.1\r\nHost: x\r\n\r\n"); // stays unread meanwhile
  // In parentheses: a failure is not to print 40 MB.
  CHECK((two.get("/b/big", range("bytes=1000-30000000")).body == big.substr(1000, 29'999'001)));
  CHECK((one.receive().body == big));

  FakeS3 secure({.tls = true});
  secure.put("b", "big", big);
  RawClient client(secure.port(), secure.ca_pem(), "bucket.localhost");
  REQUIRE(client.secured());
  CHECK((client.get("/b/big").body == big));
}

TEST_CASE("the certificate is good for the names that were asked for, until it expires") {
  FakeS3 server({.tls = true});
  CHECK(RawClient(server.port(), server.ca_pem(), "localhost").secured());
  CHECK(RawClient(server.port(), server.ca_pem(), "b.s3.us-east-1.amazonaws.com").secured());
  CHECK_FALSE(RawClient(server.port(), server.ca_pem(), "example.org").secured());
  CHECK(server.url().starts_with("https://127.0.0.1:"));

  FakeS3 other({.tls = true, .tls_names = {"example.org"}});
  CHECK(RawClient(other.port(), other.ca_pem(), "example.org").secured());
  CHECK_FALSE(RawClient(other.port(), other.ca_pem(), "localhost").secured());
  CHECK_FALSE(RawClient(other.port(), server.ca_pem(), "example.org").secured()); // another authority

  FakeS3 expired({.tls = true, .tls_expired = true});
  CHECK_FALSE(RawClient(expired.port(), expired.ca_pem(), "localhost").secured());
}

TEST_CASE("a link's rate is kept in virtual time") {
  using Clock = TokenBucket::Clock;
  const Clock::time_point start{1h};
  TokenBucket link(1000); // bytes a second
  CHECK(link.reserve(1000, start) == start - 5ms + 1s);
  CHECK(link.reserve(500, start) == start - 5ms + 1500ms); // queues behind the first
  const auto later = start + 10s;
  CHECK(link.reserve(1000, later) == later - 5ms + 1s); // idle time saves up 5 ms and no more

  TokenBucket bursting(1000, 3000, 10'000);
  CHECK(bursting.reserve(2000, start) == start - 5ms + 200ms);
  CHECK(bursting.reserve(2000, start) == start - 5ms + 200ms + 100ms + 1s); // half burst, half not

  TokenBucket free(0);
  CHECK_FALSE(free.limits());
  CHECK(free.reserve(1'000'000, start) == start);
}

TEST_CASE("a shaped link delivers the same bytes") {
  std::string text(300'000, 'x');
  text.back() = 'y';
  FakeS3 server({.shape = {.first_byte = 1ms,
                           .slow_first_byte = 2ms,
                           .slow_every = 2,
                           .connection_bytes_per_second = 100'000'000,
                           .total_bytes_per_second = 50'000'000,
                           .burst_bytes = 100'000,
                           .burst_bytes_per_second = 200'000'000}});
  server.put("b", "k", text);
  RawClient client(server.port());
  CHECK((client.get("/b/k").body == text));
  CHECK(client.get("/b/k", range("bytes=-1")).body == "y");
}
