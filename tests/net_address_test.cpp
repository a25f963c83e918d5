// SPDX-License-Identifier: Apache-2.0
// From a name to a connected socket.
#include "net/address_book.h"
#include "net/answer_cache.h"
#include "net/hosts_file.h"
#include "support/net_fixture.h"

#include <boost/asio/ip/tcp.hpp>

#include <set>

using namespace tmpdump;
using namespace tmpdump::test;
namespace asio = boost::asio;

namespace {

const std::string ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

net::Addresses addresses(std::initializer_list<const char*> texts) {
  net::Addresses all;
  for (const char* text : texts) {
    all.push_back(asio::ip::make_address(text));
  }
  return all;
}

// A port of 127.0.0.2 to which connections neither succeed nor fail: its queue of two is full, and Linux
// drops what comes then.
class BlackHole {
public:
  BlackHole(asio::io_context& context, std::uint16_t port)
      : acceptor_(context), fillers_{asio::ip::tcp::socket(context), asio::ip::tcp::socket(context)} {
    const asio::ip::tcp::endpoint here(asio::ip::make_address("127.0.0.2"), port);
    acceptor_.open(here.protocol());
    acceptor_.set_option(asio::socket_base::reuse_address(true));
    acceptor_.bind(here);
    acceptor_.listen(0);
    for (auto& filler : fillers_) {
      filler.async_connect(here, [](boost::system::error_code) {});
    }
  }

private:
  asio::ip::tcp::acceptor acceptor_;
  asio::ip::tcp::socket fillers_[2];
};

} // namespace

TEST_CASE("addresses take turns, families too, and failed ones wait") {
  net::AddressBook book;
  const auto all = addresses({"192.0.2.1", "192.0.2.2", "2001:db8::1", "192.0.2.3"});
  const net::Clock::time_point now{};
  CHECK(book.order("a", all, now) == addresses({"2001:db8::1", "192.0.2.1", "192.0.2.2", "192.0.2.3"}));
  CHECK(book.order("a", all, now) == addresses({"2001:db8::1", "192.0.2.2", "192.0.2.3", "192.0.2.1"}));
  CHECK(book.order("b", all, now) == addresses({"2001:db8::1", "192.0.2.1", "192.0.2.2", "192.0.2.3"}));
  book.failed(all[2], now);
  book.failed(all[0], now);
  CHECK(book.order("c", all, now) == addresses({"192.0.2.2", "192.0.2.3", "192.0.2.1", "2001:db8::1"}));
  CHECK(book.order("d", all, now + 31s) == addresses({"2001:db8::1", "192.0.2.1", "192.0.2.2", "192.0.2.3"}));
  book.failed(all[2], now);
  book.worked(all[2]);
  CHECK(book.order("e", all, now).front() == all[2]);
}

TEST_CASE("what a name resolved to is believed for its TTL, within limits") {
  net::AnswerCache answers(5s);
  const auto one = addresses({"192.0.2.1"}), other = addresses({"192.0.2.2", "2001:db8::1"});
  const net::Clock::time_point now{};
  const auto known = [&](const std::string& name, net::Clock::duration later) {
    const auto* found = answers.find(name, now + later);
    return found == nullptr ? net::Addresses{} : *found;
  };
  const auto [ttl, kept] = GENERATE(table<std::chrono::milliseconds, std::chrono::milliseconds>({
      {0s, 5s},
      {4s, 5s},
      {5s, 5s},
      {6s, 6s},
      {60s, 60s},
      {300s, 300s},
      {301s, 300s},
      {86'400s, 300s},
  }));
  SECTION("then it is asked for anew") {
    answers.keep("a", one, ttl, now);
    CHECK(known("a", 0s) == one);
    CHECK(known("b", 0s).empty());
    CHECK(known("a", kept - 1ms) == one);
    CHECK(known("a", kept).empty());
    CHECK(known("a", 0s).empty()); // and forgotten
  }
  SECTION("the newest answer counts, and from when it came") {
    answers.keep("a", one, ttl, now);
    answers.keep("a", other, ttl, now + 2s);
    CHECK(known("a", kept + 1s) == other);
    CHECK(known("a", kept + 2s).empty());
  }
  SECTION("one name's end is not another's") {
    answers.keep("a", one, ttl, now);
    answers.keep("b", other, ttl, now + 1s);
    CHECK(known("a", kept).empty());
    CHECK(known("b", kept) == other);
  }
  SECTION("it ends at once where it is of no use") {
    answers.keep("a", one, ttl, now);
    answers.keep("b", other, ttl, now);
    answers.forget("a");
    CHECK(known("a", 0s).empty());
    CHECK(known("b", 0s) == other);
  }
}

TEST_CASE("hosts files are read as hosts(5) says") {
  const std::string text =
      "# comment\n127.0.0.1\tA.test b.test # c.test\n::1 a.test\nnonsense a.test\n10.0.0.1\n"
      "127.0.0.1 a.test\n10.0.0.2 last.test";
  CHECK(net::find_in_hosts(text, "a.test") == addresses({"127.0.0.1", "::1"}));
  CHECK(net::find_in_hosts(text, "b.test") == addresses({"127.0.0.1"}));
  CHECK(net::find_in_hosts(text, "c.test").empty());
  CHECK(net::find_in_hosts(text, "last.test") == addresses({"10.0.0.2"}));
  CHECK(net::find_in_hosts(text, "a").empty());
  CHECK(net::look_up_hosts_file("/nonexistent", "a.test").empty());
}

TEST_CASE_METHOD(Fixture, "literals and localhost need no name server") {
  LoopbackServer server(context, always(ok));
  CHECK(get(http(server, "127.0.0.1")).value() == "ok");
  CHECK(get(http(server, "localhost")).value() == "ok"); // ::1 refuses, or there is none
  CHECK(get(http(server, "s3.LocalHost.")).value() == "ok");
  for (const char* bad : {"", ".", "a b", "a/b", "x\ny", "..", "1.2.3.4.5:80"}) {
    INFO(bad);
    const auto code = try_connect({false, bad, 80}).error().code;
    CHECK((code == Errc::usage || code == Errc::network || code == Errc::timeout));
    CHECK(server.accepted() == 3);
  }
}

TEST_CASE_METHOD(Fixture, "connections spread over all addresses of a name") {
  LoopbackServer first(context, always(ok));
  ServerOptions at_second, at_third;
  at_second.address = "127.0.0.2";
  at_third.address = "127.0.0.3";
  at_second.port = at_third.port = first.port();
  LoopbackServer second(context, always(ok), at_second), third(context, always(ok), at_third);
  const TemporaryFile hosts("127.0.0.1 many.test\n127.0.0.2 many.test\n127.0.0.3 many.test\n");
  options.hosts_file = hosts.name();
  for (int i = 0; i < 6; ++i) {
    REQUIRE(get(http(first, "many.test")));
  }
  CHECK(first.accepted() == 2);
  CHECK(second.accepted() == 2);
  CHECK(third.accepted() == 2);
}

TEST_CASE_METHOD(Fixture, "a refused address is followed by the next at once") {
  LoopbackServer server(context, always(ok));
  const TemporaryFile hosts("127.0.0.2 some.test\n127.0.0.1 some.test\n");
  options.hosts_file = hosts.name();
  for (int i = 0; i < 4; ++i) {
    CHECK(get(http(server, "some.test")).value() == "ok");
  }
  CHECK(server.accepted() == 4);
}

TEST_CASE_METHOD(Fixture, "when every address refuses, the message names them all") {
  std::uint16_t closed = 0;
  {
    const LoopbackServer gone(context, silent());
    closed = gone.port();
  }
  const TemporaryFile hosts("127.0.0.2 none.test\n127.0.0.1 none.test\n");
  options.hosts_file = hosts.name();
  const auto failure = try_connect({false, "none.test", closed}).error();
  CHECK(failure.code == Errc::network);
  CHECK(failure.message == "connect to http://none.test:" + std::to_string(closed) +
                               ": 127.0.0.2: Connection refused, 127.0.0.1: Connection refused");
}

TEST_CASE_METHOD(Fixture, "an address that does not answer") {
  LoopbackServer server(context, always(ok));
  const BlackHole hole(context, server.port());
  const TemporaryFile hosts("127.0.0.2 two.test one.test\n127.0.0.1 two.test\n");
  options.hosts_file = hosts.name();
  SECTION("is overtaken by the next, and then tried last") {
    for (int i = 0; i < 4; ++i) {
      CHECK(get(http(server, "two.test")).value() == "ok");
    }
  }
  SECTION("is given up after its time") {
    options.timeouts.connect = tiny;
    const auto failure = try_connect(http(server, "one.test")).error();
    CHECK(failure.code == Errc::timeout);
    CHECK(failure.message.find("no answer within 30 ms (tried 127.0.0.2)") != std::string::npos);
  }
  SECTION("does not hold up a cancellation") {
    const auto origin = http(server, "one.test");
    Running<result<ConnectionPtr>> connecting(context, network().connect(origin));
    context.poll();
    CHECK_FALSE(connecting.done());
    connecting.cancel();
    CHECK(connecting.get().error().code == Errc::cancelled);
  }
}

TEST_CASE_METHOD(Fixture, "name servers are asked once for all who wait, and answers are kept") {
  DnsServer dns(context);
  options.nameservers = dns.address();
  options.resolv_conf = "/dev/null";
  dns.records()["bucket.test"].v4 = {"127.0.0.1"};
  LoopbackServer server(context, always(ok));
  const auto origin = http(server, "Bucket.test");
  Running<result<ConnectionPtr>> one(context, network().connect(origin)),
      two(context, network().connect(origin));
  CHECK(one.get());
  CHECK(two.get());
  CHECK(dns.questions() == 2); // A and AAAA
  CHECK(get(origin).value() == "ok");
  CHECK(dns.questions() == 2);
}

TEST_CASE_METHOD(Fixture, "a name that moves is followed once its answer has expired") {
  DnsServer dns(context);
  options.nameservers = dns.address();
  LoopbackServer first(context, always(ok));
  ServerOptions at_second;
  at_second.address = "127.0.0.2";
  at_second.port = first.port();
  LoopbackServer second(context, always(ok), at_second);
  auto& record = dns.records()["moving.test"];
  record = {.v4 = {"127.0.0.1"}, .ttl = 0};
  const auto origin = http(first, "moving.test");
  SECTION("which it has at once") {
    options.names_at_least = 0ms;
    CHECK(get(origin).value() == "ok");
    record.v4 = {"127.0.0.2"};
    CHECK(get(origin).value() == "ok");
    CHECK(dns.questions() == 4);
    CHECK(first.accepted() == 1);
    CHECK(second.accepted() == 1);
  }
  SECTION("which it has not while the least time runs") {
    options.names_at_least = ample;
    CHECK(get(origin).value() == "ok");
    record.v4 = {"127.0.0.2"};
    CHECK(get(origin).value() == "ok");
    CHECK(dns.questions() == 2);
    CHECK(first.accepted() == 2);
  }
  SECTION("nor while its TTL runs") {
    options.names_at_least = 0ms;
    record.ttl = 60;
    CHECK(get(origin).value() == "ok");
    record.v4 = {"127.0.0.2"};
    CHECK(get(origin).value() == "ok");
    CHECK(dns.questions() == 2);
    CHECK(first.accepted() == 2);
  }
}

TEST_CASE_METHOD(Fixture, "an answer that leads nowhere is not kept, whatever its TTL") {
  DnsServer dns(context);
  options.nameservers = dns.address();
  auto& record = dns.records()["moving.test"];
  record = {.v4 = {"127.0.0.9", "127.0.0.8"}, .ttl = 86'400};
  SECTION("nobody takes a connection") {
    LoopbackServer server(context, always(ok));
    const auto origin = http(server, "Moving.test.");
    CHECK(try_connect(origin).error().message.find("127.0.0.9: Connection refused") != std::string::npos);
    record.v4 = {"127.0.0.1"};
    CHECK(get(origin).value() == "ok");
    CHECK(dns.questions() == 4);
    CHECK(get(origin).value() == "ok"); // and this one is
    CHECK(dns.questions() == 4);
  }
  SECTION("who takes it does not speak TLS") {
    LoopbackServer other(context, [](Peer& peer) -> asio::awaitable<void> { co_await peer.pause(); });
    record.v4 = {"127.0.0.1"};
    const net::Origin origin{true, "moving.test", other.port()};
    CHECK(try_connect(origin).error().code == Errc::network);
    CHECK(try_connect(origin).error().code == Errc::network);
    CHECK(dns.questions() == 4);
  }
  SECTION("one of its addresses serves: it is kept") {
    LoopbackServer server(context, always(ok));
    record.v4.emplace_back("127.0.0.1");
    const auto origin = http(server, "moving.test");
    for (int i = 0; i < 3; ++i)
      CHECK(get(origin).value() == "ok");
    CHECK(dns.questions() == 2);
  }
}

TEST_CASE_METHOD(Fixture, "both families are used") {
  DnsServer dns(context);
  options.nameservers = dns.address();
  auto& record = dns.records()["dual.test"];
  record.v4 = {"127.0.0.1"};
  record.v6 = {"::1"};
  LoopbackServer server(context, always(ok));
  SECTION("::1 refuses, 127.0.0.1 answers") {
    CHECK(get(http(server, "dual.test")).value() == "ok");
  }
  SECTION("an AAAA that gets no answer costs 50 ms, not a retry") {
    record.ignore_v6 = true;
    CHECK(get(http(server, "dual.test")).value() == "ok");
    CHECK(dns.questions() == 2);
  }
}

TEST_CASE_METHOD(Fixture, "names that do not resolve say why") {
  DnsServer dns(context);
  options.nameservers = dns.address();
  const auto failure_for = [&](const std::string& name) { return try_connect({true, name, 443}).error(); };
  SECTION("no such name") {
    const auto failure = failure_for("missing.test");
    CHECK(failure.code == Errc::network);
    CHECK(failure.message == "resolve 'missing.test': no such host; check the bucket's region and endpoint");
  }
  SECTION("a name without addresses") {
    dns.records()["empty.test"];
    CHECK(failure_for("empty.test").message.find("no such host") != std::string::npos);
  }
  SECTION("a server that fails") {
    dns.records()["broken.test"].rcode = 2;
    CHECK(failure_for("broken.test").code == Errc::network);
  }
  SECTION("no answer") {
    options.timeouts.resolve = tiny;
    auto& record = dns.records()["silent.test"];
    record.ignore_v4 = record.ignore_v6 = true;
    const auto failure = failure_for("silent.test");
    CHECK(failure.code == Errc::timeout);
    CHECK(dns.questions() == 4); // two families, two tries
  }
  SECTION("an answer that is not DNS") {
    options.timeouts.resolve = tiny;
    dns.garbage("\xff\xff\xff");
    CHECK_FALSE(try_connect({true, "any.test", 443}));
  }
  SECTION("failures are not kept") {
    CHECK(failure_for("late.test").code == Errc::network);
    dns.records()["late.test"].v4 = {"127.0.0.1"};
    LoopbackServer server(context, always(ok));
    CHECK(get(http(server, "late.test")).value() == "ok");
  }
  SECTION("a cancelled question leaves nothing behind that runs") {
    auto& record = dns.records()["silent.test"];
    record.ignore_v4 = record.ignore_v6 = true;
    const net::Origin origin{true, "silent.test", 443};
    Running<result<ConnectionPtr>> one(context, network().connect(origin)),
        two(context, network().connect(origin));
    one.run_until([&] { return dns.questions() == 2; });
    one.cancel();
    CHECK(one.get().error().code == Errc::cancelled);
    CHECK_FALSE(two.done());
    two.cancel();
    CHECK(two.get().error().code == Errc::cancelled);
  }
}
