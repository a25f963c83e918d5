// SPDX-License-Identifier: Apache-2.0
// The side of a session that faces the program under test: a socket, with TLS on it or without.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <openssl/ssl.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace tmpdump::bench {

// Failures are exceptions (boost::system::system_error): each ends its session, nothing else.
class Client {
public:
  // `tls` null: plain. Not copied: outlives this.
  Client(boost::asio::ip::tcp::socket socket, SSL_CTX* tls);
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  [[nodiscard]] bool is_plain() const { return !ssl_; }
  boost::asio::ip::tcp::socket& socket() { return socket_; }
  boost::asio::awaitable<void> handshake();
  // Appends what comes next to `to`; at the stream's end nothing.
  boost::asio::awaitable<void> read(std::string& to);
  boost::asio::awaitable<void> write(std::span<const char> bytes);

private:
  boost::asio::awaitable<void> flush();
  boost::asio::awaitable<void> receive();

  boost::asio::ip::tcp::socket socket_;
  struct Free {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };
  // Records go through memory: one system call carries many, where a socket BIO makes one for each 16 KiB.
  std::unique_ptr<SSL, Free> ssl_;
  BIO* in_ = nullptr;  // ssl_ owns it
  BIO* out_ = nullptr; // ssl_ owns it
  bool ended_ = false;
};

} // namespace tmpdump::bench
