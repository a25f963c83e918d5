// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 on one connection. Names and addresses: net_address_test.cpp; TLS: net_tls_test.cpp.
#include "base/unique_fd.h"
#include "net/wakeups.h"
#include "support/net_fixture.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fcntl.h>
#include <filesystem>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

using namespace tmpdump;
using namespace tmpdump::test;
namespace asio = boost::asio;

namespace {

std::string response_of(const std::string& body, const std::string& headers = "") {
  return "HTTP/1.1 200 OK\r\n" + headers + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         body;
}

LoopbackServer::Script in_two_parts(std::string text, std::size_t cut) {
  return [=](Peer& peer) -> asio::awaitable<void> {
    co_await peer.read_request();
    co_await peer.send(text.substr(0, cut));
    co_await peer.pause();
    co_await peer.send(text.substr(cut));
    co_await peer.until_client_leaves();
  };
}

// Of the client's socket: the server's own has the client's port at its other end.
int descriptor_to(const LoopbackServer& server) {
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    const int fd = std::stoi(entry.path().filename());
    sockaddr_in peer{};
    socklen_t size = sizeof peer;
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) == 0 && peer.sin_family == AF_INET &&
        ntohs(peer.sin_port) == server.port())
      return fd;
  }
  return -1;
}

} // namespace

TEST_CASE_METHOD(Fixture, "a request goes out as HTTP/1.1 wants it") {
  std::string seen;
  LoopbackServer server(context, [&](Peer& peer) -> asio::awaitable<void> {
    seen = co_await peer.read_request();
    co_await peer.send(response_of("hello", "ETag: \"a\"\r\nX-Twice: 1\r\nx-twice: 2\r\n"));
  });
  Request request;
  request.target = "/a%20b?c=d";
  request.headers = {{"Range", "bytes=0-4"}, {"Authorization", "s3cret", true}};
  const auto connection = connect(http(server));
  const auto head = ask(*connection, request).value();
  const std::string host = "127.0.0.1:" + std::to_string(server.port());
  CHECK(seen == "GET /a%20b?c=d HTTP/1.1\r\nHost: " + host +
                    "\r\nUser-Agent: tmpdump-test\r\nRange: bytes=0-4\r\nAuthorization: s3cret\r\n\r\n");
  CHECK(head.status == 200);
  CHECK(head.content_length == 5U);
  CHECK(head.header("etag") == "\"a\"");
  CHECK(head.header("x-twice") == "1");
  CHECK_FALSE(head.header("absent"));
  CHECK_FALSE(connection->reusable()); // the body is still to be read
  CHECK(body(*connection).value() == "hello");
  CHECK(connection->reusable());
  CHECK(connection->peer() == host);
  CHECK(connection->times().started <= connection->times().resolved);
  CHECK(connection->times().resolved <= connection->times().connected);
  CHECK(connection->times().secured == net::Clock::time_point{});
}

TEST_CASE_METHOD(Fixture, "a connection does not hold small packets back") {
  LoopbackServer server(context, always(response_of("")));
  const auto connection = connect(http(server));
  int delay_is_off = 0;
  socklen_t size = sizeof delay_is_off;
  REQUIRE(::getsockopt(descriptor_to(server), IPPROTO_TCP, TCP_NODELAY, &delay_is_off, &size) == 0);
  CHECK(delay_is_off != 0);
}

TEST_CASE("origins are written with brackets and without usual ports") {
  CHECK(net::Origin{true, "bucket.s3.amazonaws.com", 443}.host_header() == "bucket.s3.amazonaws.com");
  CHECK(net::Origin{false, "localhost", 443}.host_header() == "localhost:443");
  CHECK(net::Origin{false, "::1", 80}.host_header() == "[::1]");
  CHECK(net::Origin{true, "::1", 9000}.display() == "https://[::1]:9000");
}

TEST_CASE_METHOD(Fixture, "what would end a line or change the framing never goes on the wire") {
  LoopbackServer server(context, always(response_of("")));
  const auto connection = connect(http(server));
  const auto refused = [&](Request request) {
    const auto head = ask(*connection, request);
    CHECK(head.error().code == Errc::usage);
    return head.error().message;
  };
  const net::Header secret{"X-Token", "hush\r\nHost: evil", true};
  const auto message = refused({"GET", "/", {secret}, ""});
  CHECK(message.find("X-Token") != std::string::npos);
  CHECK(message.find("hush") == std::string::npos);
  refused({"GET", "/", {{"X-A", "b\nc"}}, ""});
  refused({"GET", "/", {{"X-A", std::string("b\0c", 3)}}, ""});
  refused({"GET", "/", {{"X-A\r\nB", "c"}}, ""});
  refused({"GET", "/", {{"", "c"}}, ""});
  refused({"GET", "/a b", {}, ""});
  refused({"GET", "/\r\n", {}, ""});
  refused({"GET /", "/", {}, ""});
  refused({"GET", "/", {{"Content-Length", "3"}}, "abc"});
  refused({"GET", "/", {{"transfer-encoding", "chunked"}}, ""});
  CHECK(ask(*connection).value().status == 200); // nothing was sent, so nothing was broken
}

TEST_CASE_METHOD(Fixture, "two thousand requests share one connection") {
  LoopbackServer server(context, always(response_of("0123456789")));
  const auto connection = connect(http(server));
  int good = 0;
  for (int i = 0; i < 2000; ++i) {
    if (!ask(*connection) || body(*connection, 7).value() != "0123456789" || !connection->reusable()) break;
    ++good;
  }
  CHECK(good == 2000);
  CHECK(server.accepted() == 1);
}

TEST_CASE_METHOD(Fixture, "a response may be cut into packets anywhere") {
  const std::string text = response_of("body", "X-Long: a, b\r\n");
  for (std::size_t cut = 1; cut < text.size(); ++cut) {
    LoopbackServer server(context, in_two_parts(text, cut));
    INFO("cut at " << cut);
    REQUIRE(get(http(server)).value() == "body");
  }
}

TEST_CASE_METHOD(Fixture, "a response that ends early is an error, wherever it ends") {
  const std::string sized = response_of("body");
  const std::string chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n";
  for (const std::string& text : {sized, chunked}) {
    for (std::size_t size = 0; size < text.size(); ++size) {
      LoopbackServer server(context, once(text.substr(0, size)));
      INFO("ends after " << size);
      const auto got = get(http(server));
      REQUIRE_FALSE(got);
      REQUIRE(got.error().code == Errc::network);
    }
  }
}

TEST_CASE_METHOD(Fixture, "a chunked body arrives whole, however it is cut") {
  const std::string header = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  const auto [chunks, expected] = GENERATE(table<std::string, std::string>({
      {"4;name=value\r\nbody\r\n6\r\n, more\r\n0\r\nTrailer: x\r\n\r\n", "body, more"},
      {"0\r\n\r\n", ""},
  }));
  const std::string text = header + chunks;
  for (std::size_t cut = header.size() - 1; cut < text.size(); ++cut) {
    LoopbackServer server(context, in_two_parts(text, cut));
    const auto connection = connect(http(server));
    INFO("cut at " << cut);
    REQUIRE_FALSE(ask(*connection).value().content_length);
    REQUIRE(body(*connection, 3).value() == expected);
    REQUIRE(connection->reusable());
  }
}

TEST_CASE_METHOD(Fixture, "a body without a length lasts until the server closes") {
  LoopbackServer server(context, once("HTTP/1.1 200 OK\r\n\r\nall of it"));
  const auto connection = connect(http(server));
  CHECK_FALSE(ask(*connection).value().content_length);
  CHECK(body(*connection, 4).value() == "all of it");
  CHECK_FALSE(connection->reusable());
}

TEST_CASE_METHOD(Fixture, "responses without a body leave the connection free") {
  const auto [method, text] = GENERATE(table<std::string, std::string>({
      {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"},
      {"GET", "HTTP/1.1 204 No Content\r\n\r\n"},
      {"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n"},
      {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
  }));
  LoopbackServer server(context, always(text));
  const auto connection = connect(http(server));
  for (int i = 0; i < 2; ++i) {
    REQUIRE(ask(*connection, {method, "/", {}, ""}));
    REQUIRE(body(*connection).value().empty());
    REQUIRE(connection->reusable());
  }
}

TEST_CASE_METHOD(Fixture, "peers that want to close, or talk out of turn, are not asked again") {
  const auto text =
      GENERATE(as<std::string>(), response_of("a", "Connection: close\r\n"),
               std::string("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na"),
               response_of("a") + "HTTP/1.1 200 OK\r\n");
  LoopbackServer server(context, always(text));
  const auto connection = connect(http(server));
  REQUIRE(ask(*connection));
  CHECK(body(*connection).value() == "a");
  CHECK_FALSE(connection->reusable());
  CHECK(ask(*connection).error().code == Errc::usage);
}

TEST_CASE_METHOD(Fixture, "bytes that nobody asked for end an idle connection") {
  bool sent = false;
  LoopbackServer server(context, [&](Peer& peer) -> asio::awaitable<void> {
    co_await peer.read_request();
    co_await peer.send(response_of("a"));
    co_await peer.pause();
    co_await peer.send("HTTP/1.1 408 Request Timeout\r\n\r\n");
    sent = true;
    co_await peer.until_client_leaves();
  });
  const auto connection = connect(http(server));
  REQUIRE(ask(*connection));
  REQUIRE(body(*connection).value() == "a");
  Running<int> wait(context, [&]() -> asio::awaitable<int> { co_return 0; }());
  wait.run_until([&] { return sent; });
  const auto again = ask(*connection);
  REQUIRE_FALSE(again);
  CHECK(again.error().message.find("nothing had asked for") != std::string::npos);
}

TEST_CASE_METHOD(Fixture, "a server that closes while idle is told from one that fails") {
  const bool with_reset = GENERATE(false, true);
  LoopbackServer server(context, [=](Peer& peer) -> asio::awaitable<void> {
    co_await peer.read_request();
    co_await peer.send(response_of("a"));
    co_await peer.read_request(); // takes the second request, and leaves
    if (with_reset) peer.reset();
  });
  const auto connection = connect(http(server));
  REQUIRE(ask(*connection));
  REQUIRE(body(*connection).value() == "a");
  const auto again = ask(*connection);
  REQUIRE_FALSE(again);
  CHECK(net::closed_while_idle(again.error()));
  CHECK_FALSE(connection->reusable());

  LoopbackServer mute(context, once(""));
  const auto first = get(http(mute));
  CHECK(first.error().message.find("without an answer") != std::string::npos);
  CHECK_FALSE(net::closed_while_idle(first.error()));
}

TEST_CASE_METHOD(Fixture, "responses that contradict themselves are refused") {
  const auto text = GENERATE(
      as<std::string>(),
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
      "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\na",
      "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\na",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\na",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\na",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nContent-Length: 1\r\n\r\na",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n11111111111111111\r\na",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n", "HTTP/1.1 2000 OK\r\n\r\n",
      "HTTP/1.1 099 Early\r\nContent-Length: 0\r\n\r\n", "HTTP/2.0 200 OK\r\n\r\n", "SSH-2.0-OpenSSH\r\n",
      "HTTP/1.1 200 OK\r\nBad Name: x\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n",
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n");
  INFO(text);
  LoopbackServer server(context, once(text));
  const auto got = get(http(server));
  REQUIRE_FALSE(got);
  CHECK(got.error().code == Errc::network);
}

TEST_CASE_METHOD(Fixture, "headers, chunk lines, and interim responses have limits") {
  SECTION("a header of almost 16 KiB is read, a longer one is not") {
    LoopbackServer fits(context, once(response_of("a", "X: " + std::string(16'000, 'x') + "\r\n")));
    CHECK(get(http(fits)).value() == "a");
    LoopbackServer long_one(context, once(response_of("a", "X: " + std::string(16'400, 'x') + "\r\n")));
    CHECK(get(http(long_one)).error().message.find("16 KiB") != std::string::npos);
    std::string many;
    for (int i = 0; i < 4000; ++i) {
      many += "A:\r\n";
    }
    LoopbackServer many_ones(context, once(response_of("a", many + many)));
    CHECK(get(http(many_ones)).error().message.find("16 KiB") != std::string::npos);
  }
  SECTION("a chunk's line that does not end") {
    const std::string line = "1;" + std::string(40'000, 'x');
    LoopbackServer server(context, once("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + line));
    CHECK(get(http(server)).error().code == Errc::network);
  }
  SECTION("a few interim responses are skipped, a flood is not") {
    const std::string interim = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";
    LoopbackServer polite(context, once(interim + interim + response_of("a")));
    CHECK(get(http(polite)).value() == "a");
    std::string flood;
    for (int i = 0; i < 100; ++i) {
      flood += "HTTP/1.1 100 Continue\r\n\r\n";
    }
    LoopbackServer rude(context, once(flood + response_of("a")));
    CHECK(get(http(rude)).error().message.find("1xx") != std::string::npos);
  }
}

TEST_CASE_METHOD(Fixture, "a slow server meets the limit that fits") {
  SECTION("no header; bytes of it that trickle in do not extend the time") {
    const auto start = GENERATE(as<std::string>(), "", "HTTP/1.1 200 OK\r\nX-A");
    LoopbackServer server(context, in_two_parts(start, start.size()));
    const auto connection = connect(http(server));
    const auto head = ask(*connection, {}, tiny);
    CHECK(head.error().code == Errc::timeout);
    CHECK(head.error().message.find("no response within 30 ms") != std::string::npos);
    CHECK_FALSE(connection->reusable());
  }
  SECTION("a body that stops") {
    LoopbackServer server(context, in_two_parts("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", 3));
    const auto connection = connect(http(server));
    REQUIRE(ask(*connection));
    const auto got = body(*connection, 100, tiny);
    CHECK(got.error().code == Errc::timeout);
    CHECK(got.error().message.find("after 4 of 10 bytes") != std::string::npos);
  }
  SECTION("a request that the server does not take") {
    LoopbackServer server(context, [](Peer& peer) -> asio::awaitable<void> {
      asio::steady_timer forever(co_await asio::this_coro::executor, net::Clock::time_point::max());
      co_await forever.async_wait(asio::use_awaitable);
      co_await peer.pause();
    });
    const auto connection = connect(http(server));
    const auto head = ask(*connection, {"PUT", "/", {}, std::string(std::size_t{64} << 20U, 'x')}, tiny);
    CHECK(head.error().code == Errc::timeout);
  }
}

TEST_CASE_METHOD(Fixture, "cancelling ends an operation wherever it waits") {
  SECTION("for a header") {
    bool asked = false;
    LoopbackServer server(context, [&](Peer& peer) -> asio::awaitable<void> {
      co_await peer.read_request();
      asked = true;
      co_await peer.until_client_leaves();
    });
    const auto connection = connect(http(server));
    const Request request;
    Running<result<net::ResponseHead>> head(context, connection->request(request, ample));
    head.run_until([&] { return asked; });
    SECTION("by Asio's cancellation") {
      head.cancel();
    }
    SECTION("by close()") {
      connection->close();
    }
    CHECK(head.get().error().code == Errc::cancelled);
    CHECK_FALSE(connection->reusable());
  }
  SECTION("for a body, even by the connection's end") {
    bool sent = false;
    LoopbackServer server(context, [&](Peer& peer) -> asio::awaitable<void> {
      co_await peer.read_request();
      co_await peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
      co_await peer.pause();
      sent = true;
      co_await peer.until_client_leaves();
    });
    auto connection = connect(http(server));
    REQUIRE(ask(*connection));
    std::byte block[16];
    Running<result<std::size_t>> size(context, connection->read_body(block, ample));
    size.run_until([&] { return sent; });
    SECTION("by Asio's cancellation") {
      size.cancel();
    }
    SECTION("by close()") {
      connection->close();
    }
    SECTION("by destruction") {
      connection.reset();
    }
    CHECK(size.get().error().code == Errc::cancelled);
  }
}

TEST_CASE_METHOD(Fixture, "exchange() is one answer, whole, in time, and not too long") {
  const Request post{"POST", "/init/error", {{"Content-Type", "application/json"}}, "{}"};
  SECTION("good") {
    std::string seen;
    LoopbackServer server(context, [&](Peer& peer) -> asio::awaitable<void> {
      seen = co_await peer.read_request();
      co_await peer.send("HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{ }\r\n0\r\n\r\n");
      co_await peer.until_client_leaves();
    });
    const auto response =
        run(context, network().exchange(http(server), post, 3, std::chrono::milliseconds::max()));
    CHECK(response.value().head.status == 202);
    CHECK(response.value().body == "{ }");
    CHECK(seen.find("Content-Length: 2\r\n") != std::string::npos);
  }
  SECTION("too long") {
    const auto text = GENERATE(as<std::string>(), response_of("1234"), "HTTP/1.1 200 OK\r\n\r\n1234");
    LoopbackServer server(context, once(text));
    CHECK(run(context, network().exchange(http(server), post, 3, ample)).error().code == Errc::network);
  }
  SECTION("too late") {
    LoopbackServer server(context, in_two_parts("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n1", 10));
    const auto response = run(context, network().exchange(http(server), post, 100, tiny));
    CHECK(response.error().code == Errc::timeout);
  }
  SECTION("cancelled") {
    LoopbackServer server(context, silent());
    Running<result<net::Network::Response>> response(context,
                                                     network().exchange(http(server), post, 9, ample));
    response.run_until([&] { return server.accepted() == 1; });
    response.cancel();
    CHECK(response.get().error().code == Errc::cancelled);
  }
}

TEST_CASE_METHOD(Fixture, "a loop that threads or timers cannot wake is found out") {
  asio::steady_timer timer(context);
  CHECK(net::require_wakeups());
  // As where epoll_ctl failed: nobody watches it.
  UniqueFd alone(GENERATE(0, 1) == 0 ? ::eventfd(0, EFD_CLOEXEC)
                                     : ::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
  const auto found = net::require_wakeups();
  REQUIRE(found.has_error());
  CHECK(found.error().code == Errc::io);
  CHECK(found.error().message.find("fs.epoll.max_user_watches") != std::string::npos);
  SECTION("watched by another epoll of ours") {
    const UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
    epoll_event event{};
    REQUIRE(::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, alone.get(), &event) == 0);
    CHECK(net::require_wakeups());
  }
  SECTION("one that was there before this program is not ours") {
    REQUIRE(::fcntl(alone.get(), F_SETFD, 0) == 0);
    CHECK(net::require_wakeups());
  }
}
