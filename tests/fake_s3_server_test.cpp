// SPDX-License-Identifier: Apache-2.0
// The fake as a server: its log, its folder, TLS, large bodies, and the link that it plays.
#include "support/catch.h"
#include "support/fake_s3.h"
#include "support/fake_s3/shaper.h"
#include "support/raw_client.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

using namespace tmpdump::test;
using namespace std::chrono_literals;

namespace {

const std::string letters = "abcdefghijklmnopqrstuvwxyz";

std::string range(const std::string& value) {
  return "Range: " + value + "\r\n";
}

} // namespace

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
  std::string big;
  big.resize(40'000'000);
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

TEST_CASE("the certificate is good for the names that were asked for, from its first day to its last") {
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
  FakeS3 early({.tls = true, .tls_early = true});
  CHECK_FALSE(RawClient(early.port(), early.ca_pem(), "localhost").secured());
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
