// SPDX-License-Identifier: Apache-2.0
// A Network and the servers that it talks to, on one io_context.
#pragma once

#include "net/network.h"
#include "support/catch.h"
#include "support/dns_server.h"
#include "support/loopback_server.h"
#include "support/run.h"

#include <cstdio>
#include <fstream>
#include <unistd.h>

// A failed check prints the failure's message.
template <class T>
struct Catch::StringMaker<boost::system::result<T, tmpdump::Failure>> {
  static std::string convert(const boost::system::result<T, tmpdump::Failure>& value) {
    return value ? "a value" : std::string(name(value.error().code)) + ": " + value.error().message;
  }
};

namespace tmpdump::test {

using namespace std::chrono_literals;
using net::Request;
using ConnectionPtr = std::unique_ptr<net::Connection>;

constexpr std::chrono::milliseconds ample{
    30'000}; // a limit that is there only so that a defect does not hang the test
constexpr std::chrono::milliseconds tiny{30}; // a limit that is meant to be hit

// A file that is gone with the test.
class TemporaryFile {
public:
  explicit TemporaryFile(std::string_view text) {
    const int fd = ::mkstemp(name_);
    REQUIRE(fd >= 0);
    ::close(fd);
    std::ofstream(name_) << text;
  }
  ~TemporaryFile() { std::remove(name_); } // NOLINT(cert-err33-c): nothing to do about it
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  [[nodiscard]] std::string name() const { return name_; }

private:
  char name_[32] = "/tmp/tmpdump-net-test.XXXXXX";
};

struct Fixture {
  boost::asio::io_context context;
  net::NetworkOptions options;
  std::unique_ptr<net::Network> made;

  Fixture() {
    options.user_agent = "tmpdump-test";
    options.hosts_file = "/dev/null";
    options.nameservers = "127.0.0.1:9"; // discard: nothing is asked by accident
    options.timeouts = {ample, ample, ample, ample, ample};
  }
  net::Network& network() {
    if (!made) made = std::make_unique<net::Network>(context, options);
    return *made;
  }
  static net::Origin http(const LoopbackServer& server, std::string host = "127.0.0.1") {
    return {false, std::move(host), server.port()};
  }
  static net::Origin https(const LoopbackServer& server, std::string host = "localhost") {
    return {true, std::move(host), server.port()};
  }
  result<ConnectionPtr> try_connect(const net::Origin& origin) {
    return run(context, network().connect(origin));
  }
  ConnectionPtr connect(const net::Origin& origin) { return try_connect(origin).value(); }
  result<net::ResponseHead> ask(net::Connection& connection, const Request& request = {},
                                std::chrono::milliseconds limit = ample) {
    return run(context, connection.request(request, limit));
  }
  // The whole body, read `step` bytes at a time.
  result<std::string> body(net::Connection& connection, std::size_t step = 65536,
                           std::chrono::milliseconds limit = ample) {
    std::string all;
    std::vector<std::byte> block(step);
    for (;;) {
      auto size = run(context, connection.read_body(block, limit));
      if (!size) return std::move(size).error();
      if (*size == 0) return all;
      all.append(text_of(Bytes(block).first(*size)));
    }
  }
  // One exchange on a connection of its own; the body, or the failure of whichever step failed.
  result<std::string> get(const net::Origin& origin, const Request& request = {}) {
    auto connection = try_connect(origin);
    if (!connection) return std::move(connection).error();
    auto head = ask(**connection, request);
    if (!head) return std::move(head).error();
    return body(**connection);
  }
};

} // namespace tmpdump::test
