// SPDX-License-Identifier: Apache-2.0
// A TCP or TLS server on loopback whose every connection plays a script. It speaks bytes, not HTTP, so that
// it can say what no HTTP server would. TLS is Asio's, another driver of OpenSSL than the one under test.
#pragma once

#include "support/certificates.h"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace tmpdump::test {

class Peer {
public:
  virtual ~Peer() = default;
  // Up to and including the blank line; what there is when the client leaves.
  virtual boost::asio::awaitable<std::string> read_request() = 0;
  virtual boost::asio::awaitable<void> send(std::string text) = 0;
  // Lets the client run, so that what was sent and what will be come in two reads.
  virtual boost::asio::awaitable<void> pause() = 0;
  virtual boost::asio::awaitable<void> until_client_leaves() = 0;
  virtual boost::asio::awaitable<void> say_goodbye() = 0; // TLS: close_notify
  virtual void reset() = 0;                               // TCP: RST
  [[nodiscard]] virtual bool resumed() const = 0;
  [[nodiscard]] virtual std::string server_name() const = 0; // SNI
};

struct ServerOptions {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0; // 0: a free one
  std::optional<Identity> identity;
  int tls_version = 0;     // TLS1_1_VERSION, TLS1_2_VERSION, TLS1_3_VERSION; 0: any that is safe
  std::string tls_ciphers; // of TLS 1.2, as OpenSSL lists them; empty: its own choice
};

class LoopbackServer {
public:
  using Script = std::function<boost::asio::awaitable<void>(Peer&)>; // its end closes the connection
  LoopbackServer(boost::asio::io_context& context, Script script, ServerOptions options = {});
  ~LoopbackServer();
  LoopbackServer(const LoopbackServer&) = delete;
  LoopbackServer& operator=(const LoopbackServer&) = delete;

  [[nodiscard]] std::uint16_t port() const;
  [[nodiscard]] int accepted() const;
  [[nodiscard]] int resumed() const; // TLS sessions
  [[nodiscard]] std::string last_server_name() const;

private:
  struct State;
  std::shared_ptr<State> state_;
};

// Answers each request with `response`, for as long as the client likes.
LoopbackServer::Script always(std::string response);
// Answers one request, then closes.
LoopbackServer::Script once(std::string response);
// Takes the request and says nothing.
LoopbackServer::Script silent();

} // namespace tmpdump::test
