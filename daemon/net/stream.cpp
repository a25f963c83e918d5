// SPDX-License-Identifier: Apache-2.0
#include "net/stream.h"

#include "net/socket_io.h"
#include "net/tls_channel.h"

#include <sstream>

namespace tmpdump::net {

namespace asio = boost::asio;

Stream::Stream(asio::ip::tcp::socket socket) : socket_(std::move(socket)), timer_(socket_.get_executor()) {
  boost::system::error_code gone;
  const auto endpoint = socket_.remote_endpoint(gone);
  if (gone) return;
  std::ostringstream text;
  text << endpoint;
  peer_ = text.str();
}

Stream::~Stream() {
  close();
}

asio::awaitable<result<void>> Stream::start_tls(std::shared_ptr<TlsContext> context, const Origin& origin,
                                                std::chrono::milliseconds timeout) {
  const auto self = shared_from_this();
  const std::string what = "TLS to " + origin.display() + " (" + peer_ + "): ";
  auto channel = TlsChannel::create(std::move(context), origin, socket_.native_handle());
  if (!channel) co_return std::move(channel).error();
  tls_ = std::move(*channel);
  const auto deadline = deadline_after(timeout);
  for (;;) {
    const IoStatus step = tls_->handshake();
    if (step == IoStatus::done) co_return boost::system::in_place_value;
    if (step != IoStatus::want_read && step != IoStatus::want_write) {
      co_return Failure{Errc::network, what + tls_->error(), tls_->refused()};
    }
    const Readiness ready = co_await wait(step, deadline);
    if (ready == Readiness::cancelled) co_return cancelled(origin);
    if (ready == Readiness::timed_out) {
      co_return Failure{Errc::timeout,
                        what + "handshake not done within " + std::to_string(timeout.count()) + " ms"};
    }
  }
}

Io Stream::try_read(MutableBytes out) {
  if (closed_) return {IoStatus::failed, 0};
  if (tls_) return tls_->read(out);
  return socket_read(socket_.native_handle(), out, last_errno_);
}

Io Stream::try_write(Bytes bytes) {
  if (closed_) return {IoStatus::failed, 0};
  if (tls_) return tls_->write(bytes);
  return socket_write(socket_.native_handle(), bytes, last_errno_);
}

asio::awaitable<Readiness> Stream::wait(IoStatus last, Clock::time_point deadline) {
  const auto self = shared_from_this();
  if (closed_) co_return Readiness::cancelled;
  const bool read = last == IoStatus::want_read;
  arm(deadline);
  const auto [ec] = co_await socket_.async_wait(
      read ? asio::socket_base::wait_read : asio::socket_base::wait_write, as_codes);
  deadline_ = no_deadline;
  if (closed_) co_return Readiness::cancelled;
  if (ec == asio::error::operation_aborted)
    co_return timed_out_ ? Readiness::timed_out : Readiness::cancelled;
  co_return Readiness::ready;
}

std::string Stream::error() const {
  if (closed_) return "closed";
  return tls_ ? tls_->error()
              : boost::system::error_code(last_errno_, boost::system::system_category()).message();
}

void Stream::close() {
  if (std::exchange(closed_, true)) return;
  timer_.cancel();
  if (tls_) tls_->say_goodbye();
  boost::system::error_code ignored; // nothing is lost with a socket that does not close
  socket_.close(ignored);            // NOLINT(bugprone-unused-return-value): the code is `ignored`
}

void Stream::arm(Clock::time_point deadline) {
  timed_out_ = false;
  deadline_ = deadline;
  if (deadline != no_deadline && (!ticking_ || timer_.expiry() > deadline)) schedule(deadline);
}

void Stream::schedule(Clock::time_point at) {
  ticking_ = true;
  timer_.expires_at(at);
  timer_.async_wait([weak = weak_from_this()](boost::system::error_code ec) {
    const auto self = weak.lock();
    if (!ec && self) self->tick();
  });
}

// No wait is going on: stays quiet until the next. One is, with time left: comes back.
void Stream::tick() {
  ticking_ = false;
  if (closed_ || deadline_ == no_deadline) return;
  if (Clock::now() < deadline_) return schedule(deadline_);
  timed_out_ = true;
  boost::system::error_code ignored;
  socket_.cancel(ignored); // NOLINT(bugprone-unused-return-value)
}

} // namespace tmpdump::net
