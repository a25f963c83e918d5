// SPDX-License-Identifier: Apache-2.0
// A connected TCP socket, with TLS on it or not. Reads and writes are tried at once and never wait; waiting
// is a step of its own. So a buffer is touched only while a call runs, bytes that are there cost one system
// call, and TLS needs no copies but OpenSSL's.
#pragma once

#include "net/await.h"
#include "net/io.h"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

namespace tmpdump::net {

class TlsChannel;
class TlsContext;

enum class Readiness { ready, timed_out, cancelled };

class Stream : public std::enable_shared_from_this<Stream> {
public:
  explicit Stream(boost::asio::ip::tcp::socket socket);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // The client's side of the handshake, certificate and name verified.
  boost::asio::awaitable<result<void>> start_tls(std::shared_ptr<TlsContext> context, const Origin& origin,
                                                 std::chrono::milliseconds timeout);

  Io try_read(MutableBytes out);
  Io try_write(Bytes bytes);
  // Until the socket is ready for what `last` asked for; errors on it count as ready: the next try reports
  // them.
  boost::asio::awaitable<Readiness> wait(IoStatus last, Clock::time_point deadline);

  // Why the last step failed.
  [[nodiscard]] std::string error() const;
  [[nodiscard]] bool is_open() const { return !closed_; }
  [[nodiscard]] std::string peer() const { return peer_; }
  [[nodiscard]] int native_handle() { return socket_.native_handle(); }
  [[nodiscard]] boost::asio::any_io_executor executor() { return socket_.get_executor(); }
  void close(); // waits end as cancelled

private:
  void arm(Clock::time_point deadline);
  void schedule(Clock::time_point at);
  void tick();

  boost::asio::ip::tcp::socket socket_;
  std::string peer_;
  std::unique_ptr<TlsChannel> tls_;
  int last_errno_ = 0;
  bool closed_ = false;

  // The watchdog: one timer that is moved only when it is late or fires early, not at each wait.
  boost::asio::steady_timer timer_;
  Clock::time_point deadline_ = no_deadline; // of the wait that is going on
  bool ticking_ = false, timed_out_ = false;
};

} // namespace tmpdump::net
