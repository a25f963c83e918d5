// SPDX-License-Identifier: Apache-2.0
// Faults below HTTP and below TLS: they talk to the bare socket.
#include "support/fake_s3/session.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <string_view>

namespace tmpdump::test {
namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

constexpr auto use_tuple = asio::as_tuple(asio::use_awaitable);

void shut(tcp::socket& socket) {
  boost::system::error_code ignored;
  socket.shutdown(tcp::socket::shutdown_send, ignored);
  socket.close(ignored);
}

asio::awaitable<void> wait_for_leave(tcp::socket& socket) {
  std::array<char, 4096> bytes{};
  for (;;) {
    const auto [error, n] = co_await socket.async_read_some(asio::buffer(bytes), use_tuple);
    if (error) co_return;
  }
}

} // namespace

asio::awaitable<void> wait_for_leave(Stream& stream) {
  std::array<std::byte, 4096> ignored{};
  for (;;) {
    const std::size_t n = co_await stream.read_some(ignored);
    if (n == 0) co_return;
  }
}

asio::awaitable<void> strike(Stream& stream, ConnectFault kind, std::uint64_t handshake_bytes) {
  // A fatal alert, handshake_failure, in the clear (RFC 8446 section 6): what a server without a common
  // cipher says.
  static constexpr std::string_view alert("\x15\x03\x03\x00\x02\x02\x28", 7);
  static constexpr std::string_view garbage("SSH-2.0-OpenSSH_9.2\r\n");
  tcp::socket& socket = stream.socket();
  std::array<char, 4096> bytes{};
  if (handshake_bytes > 0) co_await stream.handshake(handshake_bytes);
  switch (kind) {
  case ConnectFault::none:
    break;
  case ConnectFault::reset:
    stream.reset();
    break;
  case ConnectFault::close:
    shut(socket);
    break;
  case ConnectFault::stall:
    co_await wait_for_leave(socket);
    break;
  case ConnectFault::garbage:
  case ConnectFault::tls_alert: {
    // After the client's first words: a close with bytes unread would turn into a reset.
    if (handshake_bytes == 0) co_await socket.async_read_some(asio::buffer(bytes), use_tuple);
    const std::string_view text = kind == ConnectFault::garbage ? garbage : alert;
    co_await asio::async_write(socket, asio::buffer(text), use_tuple);
    shut(socket);
    break;
  }
  case ConnectFault::alert_after_handshake: {
    const bool done = co_await stream.handshake(forever);
    if (done) co_await stream.alert();
    // As above; the client leaves when it has heard.
    boost::system::error_code ignored;
    socket.shutdown(tcp::socket::shutdown_send, ignored);
    co_await wait_for_leave(socket);
    break;
  }
  }
}

} // namespace tmpdump::test
