// SPDX-License-Identifier: Apache-2.0
// Each fault strikes the request that it was meant for, and looks on the wire as it should.
#include "support/catch.h"
#include "support/fake_s3.h"
#include "support/raw_client.h"

#include <zlib.h>

using namespace tmpdump::test;
using namespace std::chrono_literals;

namespace {

const std::string letters = "abcdefghijklmnopqrstuvwxyz";

// A server with one object, /b/k, and one client.
struct Broken {
  explicit Broken(Fault fault) : Broken() { server.schedule(std::move(fault)); }
  Broken() { server.put("b", "k", letters); }
  RawResponse get(const std::string& lines = {}) { return RawClient(server.port()).get("/b/k", lines); }

  FakeS3 server;
};

std::string range(const std::string& value) {
  return "Range: bytes=" + value + "\r\n";
}

std::string gunzipped(std::string text) {
  std::string out(1'000, '\0');
  z_stream stream{};
  REQUIRE(inflateInit2(&stream, 15 + 16) == Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(text.data());
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  CHECK(inflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  inflateEnd(&stream);
  return out;
}

// Which of the next `count` GETs are struck: "-" or "X" each.
std::string struck(FakeS3& server, int count, const std::string& lines = {}) {
  std::string pattern;
  RawClient client(server.port());
  for (int i = 0; i < count; ++i)
    pattern += client.get("/b/k", lines).status == 503 ? 'X' : '-';
  return pattern;
}

} // namespace

TEST_CASE("a fault strikes the request that it was meant for") {
  Broken s3;
  const auto with = [&](When when) {
    s3.server.clear_faults();
    s3.server.schedule(fault::slow_down().on(std::move(when)));
  };
  with(nth_get(3));
  CHECK(struck(s3.server, 5) == "--X--");
  with(every_request());
  CHECK(struck(s3.server, 3) == "XXX");
  with({.skip = 1, .count = 2});
  CHECK(struck(s3.server, 5) == "-XX--");
  with({.skip = 1, .every = 3, .count = forever});
  CHECK(struck(s3.server, 8) == "-X--X--X");
  with({.method = "HEAD", .count = forever});
  CHECK(struck(s3.server, 2) == "--");
  with({.key = "other", .count = forever});
  CHECK(struck(s3.server, 2) == "--");
  with(touching(10));
  CHECK(struck(s3.server, 1, range("0-9")) == "-");
  CHECK(struck(s3.server, 1, range("0-10")) == "X");
  CHECK(struck(s3.server, 1, range("-16")) == "X"); // 10-25
  CHECK(struck(s3.server, 1, range("-15")) == "-");
  CHECK(struck(s3.server, 1) == "X");
  with({.begins_at = 4});
  CHECK(struck(s3.server, 1, range("3-9")) == "-");
  CHECK(struck(s3.server, 2, range("4-9")) == "X-");
  const auto next = s3.server.connections() + 2;
  with({.connection = next, .count = forever});
  CHECK(struck(s3.server, 2) == "--");
  CHECK(struck(s3.server, 2) == "XX");
}

TEST_CASE("a fault on each first attempt lets the second one pass") {
  Broken s3(fault::slow_down().on(each_first_attempt()));
  CHECK(struck(s3.server, 3, range("0-4")) == "X--");
  CHECK(struck(s3.server, 3, range("5-9")) == "X--");
  CHECK(struck(s3.server, 1, range("0-4")) == "-");
  CHECK(s3.server.requests()[2].attempt == 3);
}

TEST_CASE("of several faults that are due the first one strikes, and all of them count") {
  FakeS3 server;
  server.put("b", "k", letters);
  server.schedule({fault::slow_down().on(nth_get(2)), fault::internal_error().on(nth_get(2)),
                   fault::forbidden().on(nth_get(3))});
  RawClient client(server.port());
  CHECK(client.get("/b/k").status == 200);
  CHECK(client.get("/b/k").status == 503);
  CHECK(client.get("/b/k").status == 403);
  CHECK(client.get("/b/k").status == 200);
  CHECK(server.requests()[1].fault == "SlowDown");
  server.schedule(fault::slow_down().on(every_request()));
  server.clear_faults();
  CHECK(client.get("/b/k").status == 200);
}

TEST_CASE("a body can end at every offset, by reset, close, or silence") {
  for (std::uint64_t after = 0; after <= letters.size(); ++after) {
    INFO(after);
    Broken reset(fault::reset(after));
    const RawResponse by_reset = reset.get();
    CHECK(by_reset.status == 200);
    CHECK(by_reset.header("content-length") == "26");
    CHECK(letters.starts_with(by_reset.body));
    CHECK(by_reset.body.size() <= after);
    if (after < letters.size()) CHECK(by_reset.ending == Ending::reset);
    CHECK(reset.get().body == letters);

    Broken truncated(fault::truncate(after));
    RawClient client(truncated.server.port());
    const RawResponse by_close = client.get("/b/k");
    CHECK(by_close.body == letters.substr(0, after));
    client.receive_all();
    CHECK(client.ending() == Ending::closed);
  }
  Broken s3(fault::stall(5));
  {
    RawClient client(s3.server.port());
    client.send("GET /b/k HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(client.receive_until("\r\n\r\nabcde"));
    client.set_patience(50); // how long the silence is listened to
    CHECK(client.receive_all().empty());
    CHECK(client.ending() == Ending::silent);
    CHECK_FALSE(s3.server.requests()[0].finished);
  }
  CHECK(s3.server.wait_for_finished(1, 10s)); // it ends when the client leaves
  CHECK(s3.server.requests()[0].body_bytes_sent == 5);
}

TEST_CASE("under TLS a body can end by an alert, or by a record that has changed on its way") {
  FakeS3 server({.tls = true});
  server.put("b", "k", letters);
  for (std::uint64_t after = 0; after <= letters.size(); after += 13) {
    for (const auto& [fault, ending] : {std::pair(fault::alert(after), Ending::alert),
                                        std::pair(fault::bad_record(after), Ending::bad_record)}) {
      INFO(fault.name << " after " << after);
      server.schedule(fault);
      RawClient client(server.port(), server.ca_pem(), "localhost");
      client.send("GET /b/k HTTP/1.1\r\nHost: localhost\r\n\r\n");
      const std::string bytes = client.receive_all();
      CHECK(bytes.ends_with("\r\n\r\n" + letters.substr(0, after)));
      CHECK(client.ending() == ending);
    }
  }
  // In the clear there is neither: a close.
  for (const auto& fault : {fault::alert(5), fault::bad_record(5)}) {
    const Broken s3(fault);
    RawClient client(s3.server.port());
    client.send("GET /b/k HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(client.receive_all().ends_with("\r\n\r\nabcde"));
    CHECK(client.ending() == Ending::closed);
  }
}

TEST_CASE("a header can end in its midst") {
  Broken s3;
  for (const Cut::How how : {Cut::How::close, Cut::How::reset}) {
    s3.server.schedule(fault::cut_header(20, how));
    RawClient client(s3.server.port());
    client.send("GET /b/k HTTP/1.1\r\nHost: x\r\n\r\n");
    const std::string bytes = client.receive_all();
    CHECK(std::string("HTTP/1.1 200 OK\r\nx-amz-id-2").starts_with(bytes));
    CHECK(bytes.size() <= 20);
    CHECK(client.ending() == (how == Cut::How::close ? Ending::closed : Ending::reset));
  }
}

TEST_CASE("errors come in S3's words") {
  const auto check = [](const ScheduledFault& fault, unsigned status, const std::string& code) {
    INFO(code);
    Broken s3(fault);
    RawResponse response = s3.get(range("0-3"));
    CHECK(response.status == status);
    CHECK(response.body.find("<Error><Code>" + code + "</Code><Message>") != std::string::npos);
    CHECK(response.header("content-type") == "application/xml");
    CHECK(s3.get().body == letters);
    return response;
  };
  CHECK(check(fault::slow_down(), 503, "SlowDown").count("retry-after") == 0);
  CHECK(check(fault::slow_down(7), 503, "SlowDown").header("retry-after") == "7");
  check(fault::internal_error(), 500, "InternalError");
  check(fault::too_many_requests(), 429, "TooManyRequests");
  CHECK(check(fault::request_timeout(), 400, "RequestTimeout").header("connection") == "close");
  check(fault::forbidden(), 403, "AccessDenied");
  check(fault::no_such_key(), 404, "NoSuchKey");
  check(fault::precondition_failed(), 412, "PreconditionFailed");
  check(fault::range_not_satisfiable(), 416, "InvalidRange");
  check(fault::error(400, "ExpiredToken"), 400, "ExpiredToken");
  CHECK(check(fault::region_redirect("eu-west-1"), 301, "PermanentRedirect").header("x-amz-bucket-region") ==
        "eu-west-1");
  CHECK(check(fault::temporary_redirect("http://x/"), 307, "TemporaryRedirect").header("location") ==
        "http://x/");
  check(fault::error_in_200(), 200, "InternalError");
}

TEST_CASE("the object changes under the reader's hands") {
  Broken replaced(fault::replace_object("new bytes").on(nth_get(2)));
  const std::string etag = replaced.server.etag("b", "k");
  const std::string pinned = "If-Match: " + etag + "\r\n";
  CHECK(replaced.get(pinned).status == 200);
  CHECK(replaced.get(pinned).status == 412);
  CHECK(replaced.get().body == "new bytes");

  Broken touched(fault::new_etag());
  CHECK(touched.get(pinned).status == 412);
  CHECK(touched.get().body == letters);
  CHECK(touched.get().header("etag") != etag);

  Broken lying(fault::wrong_etag());
  const RawResponse lie = lying.get(pinned);
  CHECK(lie.status == 200);
  CHECK(lie.header("etag") == "\"not-the-etag\"");
  CHECK(lie.body == letters);
}

TEST_CASE("answers that are not what was asked for") {
  Broken whole(fault::whole_body());
  const RawResponse all = whole.get(range("3-5"));
  CHECK(all.status == 200);
  CHECK(all.body == letters);
  CHECK(all.count("content-range") == 0);

  for (const auto& [asked, by, got] : {std::tuple{"3-5", 1, "efg"},
                                       {"3-5", -2, "bcd"},
                                       {"3-5", 99, "xyz"},
                                       {"23-25", 1, "wxy"},
                                       {"-3", -20, "def"},
                                       {"0-", 1, letters.c_str()}}) {
    INFO(asked << " by " << by);
    Broken shifted(fault::shifted_range(by));
    const RawResponse part = shifted.get(range(asked));
    CHECK(part.status == 206);
    CHECK(part.body == got);
    const auto at = letters.find(got);
    CHECK(part.header("content-range") ==
          "bytes " + std::to_string(at) + "-" + std::to_string(at + part.body.size() - 1) + "/26");
  }

  Broken multipart(fault::multipart());
  const RawResponse parts = multipart.get(range("3-5"));
  CHECK(parts.status == 206);
  CHECK(parts.header("content-type") == "multipart/byteranges; boundary=fake-s3-boundary");
  CHECK(parts.count("content-range") == 0);
  CHECK(parts.body.find("Content-Range: bytes 3-5/26\r\n\r\ndef\r\n--fake-s3-boundary--") !=
        std::string::npos);

  Broken chunked(fault::chunked());
  const RawResponse chunks = chunked.get(range("3-5"));
  CHECK(chunks.status == 206);
  CHECK(chunks.header("transfer-encoding") == "chunked");
  CHECK(chunks.count("content-length") == 0);
  CHECK(chunks.body == "def");

  Broken said(fault::gzip_header());
  const RawResponse lie = said.get(range("3-5"));
  CHECK(lie.header("content-encoding") == "gzip");
  CHECK(lie.body == "def");
  Broken zipped(fault::gzip());
  const RawResponse small = zipped.get(range("3-5"));
  CHECK(small.header("content-encoding") == "gzip");
  CHECK(small.header("content-range") == "bytes 3-5/26");
  CHECK(small.header("content-length") == std::to_string(small.body.size()));
  CHECK(gunzipped(small.body) == "def");

  Broken elsewhere(fault::wrong_content_range());
  CHECK(elsewhere.get(range("3-5")).header("content-range") == "bytes 1-2/3");
  Broken twice(fault::duplicate_header("Content-Length", "99"));
  CHECK(twice.get().count("content-length") == 2);
  Broken missing(fault::remove_header("ETag"));
  CHECK(missing.get().count("etag") == 0);
}

TEST_CASE("chunked bodies are cut by their bytes on the wire") {
  ScheduledFault fault = fault::chunked();
  fault.cut = Cut{.after = 6, .how = Cut::How::close};
  Broken s3(fault);
  RawClient client(s3.server.port());
  client.send("GET /b/k HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(client.receive_all().ends_with("\r\n\r\n1a\r\nab"));
}

TEST_CASE("a Content-Length that lies, in both directions") {
  Broken longer(fault::wrong_content_length(4));
  const RawResponse cut_off = longer.get();
  CHECK(cut_off.header("content-length") == "30");
  CHECK(cut_off.body == letters);
  CHECK(cut_off.ending == Ending::closed);

  Broken shorter(fault::wrong_content_length(-4));
  RawClient client(shorter.server.port());
  const RawResponse response = client.get("/b/k");
  CHECK(response.body == letters.substr(0, 22));
  CHECK(client.receive_all() == "wxyz");
  CHECK(client.ending() == Ending::closed);
}

TEST_CASE("connections that close, with and without notice") {
  Broken announced(fault::connection_close());
  RawClient one(announced.server.port());
  CHECK(one.get("/b/k").header("connection") == "close");
  one.receive_all();
  CHECK(one.ending() == Ending::closed);

  Broken silent(fault::unannounced_close());
  RawClient two(silent.server.port());
  const RawResponse response = two.get("/b/k");
  CHECK(response.count("connection") == 0);
  CHECK(response.body == letters);
  two.receive_all();
  CHECK(two.ending() == Ending::closed);

  Broken old(fault::http_1_0());
  RawClient three(old.server.port());
  CHECK(three.get("/b/k").version == "HTTP/1.0");
  three.receive_all();
  CHECK(three.ending() == Ending::closed);

  Broken polite;
  RawClient four(polite.server.port());
  CHECK(four.get("/b/k", "Connection: close\r\n").header("connection") == "close");
  four.receive_all();
  CHECK(four.ending() == Ending::closed);
}

TEST_CASE("bytes that are no HTTP") {
  Broken s3(fault::garbage());
  CHECK(s3.get().status == 0);
  Broken chosen(fault::garbage("HTTP/1.1 999\r\n"));
  RawClient client(chosen.server.port());
  client.send("GET /b/k HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(client.receive_all() == "HTTP/1.1 999\r\n");
}

TEST_CASE("slow answers bring the same bytes") {
  Broken s3;
  s3.server.schedule({fault::trickle(3, 1us), fault::late_first_byte(1ms).on(nth_get(2))});
  CHECK(s3.get().body == letters);
  CHECK(s3.get().body == letters);
  CHECK(s3.server.requests()[0].fault == "trickle");
  CHECK(s3.server.requests()[1].fault == "late_first_byte");
}

TEST_CASE("connections fail before the first request") {
  FakeS3 server;
  server.put("b", "k", letters);
  server.schedule({fault::at_connect(ConnectFault::reset).on(nth_connection(1)),
                   fault::at_connect(ConnectFault::close).on(nth_connection(2)),
                   fault::at_connect(ConnectFault::stall).on(nth_connection(3)),
                   fault::at_connect(ConnectFault::garbage).on(nth_connection(4))});
  const auto ending = [&](int patience) {
    RawClient client(server.port());
    client.set_patience(patience);
    const std::string bytes = client.receive_all();
    CHECK(bytes.empty());
    return client.ending();
  };
  CHECK(ending(10'000) == Ending::reset);
  CHECK(ending(10'000) == Ending::closed);
  CHECK(ending(50) == Ending::silent);
  CHECK(RawClient(server.port()).get("/b/k").status == 0);
  CHECK(RawClient(server.port()).get("/b/k").body == letters);
  CHECK(server.requests().size() == 1); // connection faults are no requests
}

TEST_CASE("TLS can be refused, cut short, or never answered") {
  FakeS3 server({.tls = true});
  server.put("b", "k", letters);
  server.schedule({fault::at_connect(ConnectFault::tls_alert).on(nth_connection(1)),
                   fault::at_connect(ConnectFault::close).on(nth_connection(2)),
                   fault::truncate(4).on(nth_get(1)), fault::reset(4).on(nth_get(2))});
  CHECK(RawClient(server.port(), server.ca_pem(), "localhost").ending() == Ending::alert);
  CHECK_FALSE(RawClient(server.port(), server.ca_pem(), "localhost").secured());
  RawClient truncated(server.port(), server.ca_pem(), "localhost");
  REQUIRE(truncated.secured());
  const RawResponse by_close = truncated.get("/b/k");
  CHECK(by_close.body == "abcd");
  CHECK(by_close.ending == Ending::closed); // a close_notify went before
  RawClient reset(server.port(), server.ca_pem(), "localhost");
  CHECK(reset.get("/b/k").ending == Ending::reset);
  CHECK(RawClient(server.port(), server.ca_pem(), "localhost").get("/b/k").body == letters);
}

TEST_CASE("a TLS handshake can end at each of its bytes, and after them") {
  FakeS3 server({.tls = true});
  server.put("b", "k", letters);
  const auto client = [&](const ScheduledFault& fault) {
    server.clear_faults();
    server.schedule(fault);
    return std::make_unique<RawClient>(server.port(), server.ca_pem(), "localhost");
  };
  std::uint64_t whole = 0; // bytes
  for (std::uint64_t after = 1; whole == 0; after += after < 20 ? 1 : 97) {
    INFO(after);
    REQUIRE(after < 20'000);
    const auto closed = client(fault::in_handshake(after, ConnectFault::close));
    if (closed->secured()) {
      whole = after;
    } else {
      CHECK(closed->ending() == Ending::closed);
      CHECK_FALSE(client(fault::in_handshake(after, ConnectFault::reset))->secured());
      CHECK_FALSE(client(fault::in_handshake(after, ConnectFault::tls_alert))->secured());
    }
  }
  CHECK(whole > 500);
  const auto late = client(fault::in_handshake(whole + 2'000, ConnectFault::reset));
  CHECK(late->secured());
  CHECK(late->receive_all().empty());
  CHECK(late->ending() == Ending::reset);
  const auto told = client(fault::at_connect(ConnectFault::alert_after_handshake));
  CHECK(told->secured());
  CHECK(told->receive_all().empty());
  CHECK(told->ending() == Ending::alert);
  CHECK(client(fault::slow_down())->get("/b/k").status == 503);
}

TEST_CASE("a server goes away under stalled, waiting and idle clients") {
  RawClient* clients[3] = {};
  std::vector<std::unique_ptr<RawClient>> owned;
  {
    FakeS3 server({.threads = 2});
    server.put("b", "k", letters);
    server.schedule({fault::stall(2).on(nth_get(1)), fault::late_first_byte(1h).on(nth_get(2))});
    for (RawClient*& client : clients) {
      owned.push_back(std::make_unique<RawClient>(server.port()));
      client = owned.back().get();
    }
    for (std::size_t i = 0; i < 2; ++i) {
      clients[i]->send("GET /b/k HTTP/1.1\r\nHost: x\r\n\r\n");
      REQUIRE(server.wait_for_arrived(i + 1, 10s));
    }
  }
  for (RawClient* client : clients) {
    client->receive_all();
    // The idle one may not have been accepted yet, and sees a plain close then.
    const bool idle = client == clients[2];
    CHECK((client->ending() == Ending::reset || (idle && client->ending() == Ending::closed)));
  }
}
