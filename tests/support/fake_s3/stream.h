// SPDX-License-Identifier: Apache-2.0
// The server's end of one connection, plain or TLS. One thread, one operation at a time; every operation that
// fails leaves it useless.
#pragma once

#include "base/bytes.h"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

// OpenSSL's, so that this header needs no TLS.
struct ssl_ctx_st;

namespace tmpdump::test {

class Stream {
public:
  explicit Stream(boost::asio::ip::tcp::socket socket) : socket_(std::move(socket)) {}
  virtual ~Stream() = default;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // False also when it takes more of our bytes than `most`: those are sent.
  virtual boost::asio::awaitable<bool> handshake(std::uint64_t most) = 0;
  // After it: a fatal alert under its keys, or a record that has changed on its way. Without TLS nothing.
  virtual boost::asio::awaitable<void> alert() = 0;
  virtual boost::asio::awaitable<void> bad_record() = 0;
  virtual boost::asio::awaitable<std::size_t> read_some(MutableBytes out) = 0; // 0: the peer left
  virtual boost::asio::awaitable<bool> write(std::string_view text) = 0;
  // Sends a slice of a file; `sent` counts what went out, also when it fails.
  virtual boost::asio::awaitable<bool> send_file(int fd, std::uint64_t offset, std::uint64_t length,
                                                 std::uint64_t& sent) = 0;
  virtual boost::asio::awaitable<void> close() = 0; // FIN; with TLS close_notify before

  void reset(); // RST
  // Beneath TLS, for faults.
  boost::asio::ip::tcp::socket& socket() { return socket_; }

protected:
  boost::asio::ip::tcp::socket socket_;
};

std::unique_ptr<Stream> make_plain_stream(boost::asio::ip::tcp::socket socket);
std::unique_ptr<Stream> make_tls_stream(boost::asio::ip::tcp::socket socket, ssl_ctx_st* context);

} // namespace tmpdump::test
