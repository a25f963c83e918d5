// SPDX-License-Identifier: Apache-2.0
// Bodies of plain connections are spliced: pages go from socket to socket through a pipe, and no byte is
// copied. On a machine whose cores the measured programs need, the link must cost next to nothing.
#include "session.h"

#include "client.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <optional>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace tmpdump::bench {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::awaitable;
using tcp = asio::ip::tcp;

namespace {

// Bytes that are paced as one: 2.2 ms at 60 MB/s, eight TLS records.
constexpr std::size_t chunk = 128U << 10U;
constexpr std::size_t max_head = 64U << 10U;

[[noreturn]] void system_failed(int error_number) {
  throw boost::system::system_error(error_number, boost::system::system_category());
}

class Pipe {
public:
  Pipe() {
    if (::pipe2(ends_.data(), O_CLOEXEC | O_NONBLOCK) != 0) system_failed(errno);
    (void)::fcntl(ends_[1], F_SETPIPE_SZ,
                  1 << 20); // a fragment of a packet takes a place of it, however small
  }
  ~Pipe() {
    ::close(ends_[0]);
    ::close(ends_[1]);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  [[nodiscard]] int out() const { return ends_[0]; }
  [[nodiscard]] int in() const { return ends_[1]; }

private:
  std::array<int, 2> ends_{};
};

// Where the head ends in `text`; 0: not yet.
std::size_t head_size(const std::string& text) {
  const auto at = text.find("\r\n\r\n");
  if (at != std::string::npos) return at + 4;
  if (text.size() > max_head) throw std::runtime_error("a head of more than 64 KiB");
  return 0;
}

struct RequestHead {
  bool is_get = false, is_head = false, keep_alive = false;
};

RequestHead parse_request(std::string_view head) {
  http::request_parser<http::empty_body> parser;
  boost::system::error_code error;
  parser.put(asio::buffer(head), error);
  if (error || !parser.is_header_done()) throw std::runtime_error("request: " + error.message());
  const auto method = parser.get().method();
  RequestHead out{method == http::verb::get, method == http::verb::head, parser.get().keep_alive()};
  if (!out.is_get && !out.is_head) throw std::runtime_error("request: only GET and HEAD are relayed");
  return out;
}

struct ResponseHead {
  std::uint64_t length = 0;
  bool keep_alive = false;
};

ResponseHead parse_response(std::string_view head, bool to_head) {
  http::response_parser<http::empty_body> parser;
  parser.skip(true); // no body is parsed
  boost::system::error_code error;
  parser.put(asio::buffer(head), error);
  if (error || !parser.is_header_done()) throw std::runtime_error("answer: " + error.message());
  const auto& answer = parser.get();
  ResponseHead out{0, answer.keep_alive()};
  const auto status = answer.result();
  if (to_head || status == http::status::no_content || status == http::status::not_modified) return out;
  const auto field = answer.find(http::field::content_length);
  if (field == answer.end()) throw std::runtime_error("answer: no Content-Length");
  out.length = std::stoull(std::string(field->value()));
  return out;
}

class Session {
public:
  Session(tcp::socket client, Link& link)
      : link_(link), client_(std::move(client), link.tls), upstream_(client_.socket().get_executor()),
        timer_(client_.socket().get_executor()) {}
  awaitable<void> run();

private:
  awaitable<void> read_answer_head(std::string& received);
  awaitable<void> relay_answer(const RequestHead& request, bool& keep_alive);
  awaitable<void> until(Clock::time_point when);
  awaitable<void> send(std::span<const char> bytes);
  awaitable<void> splice_body(std::uint64_t length);
  awaitable<void> copy_body(std::uint64_t length);
  void wait_for_at_least(std::size_t bytes);

  Link& link_;
  Client client_;
  tcp::socket upstream_;
  asio::steady_timer timer_;
  Line line_;
  std::optional<Pipe> pipe_;
  std::vector<char> buffer_;
};

awaitable<void> Session::until(Clock::time_point when) {
  if (when <= Clock::now()) co_return;
  timer_.expires_at(when);
  co_await timer_.async_wait(asio::use_awaitable);
}

// The server's socket is readable only with so many bytes: fewer wake-ups.
void Session::wait_for_at_least(std::size_t bytes) {
  const int value = static_cast<int>(bytes);
  (void)::setsockopt(upstream_.native_handle(), SOL_SOCKET, SO_RCVLOWAT, &value, sizeof value);
}

awaitable<void> Session::send(std::span<const char> bytes) {
  while (!bytes.empty()) {
    const auto part = bytes.first(std::min(bytes.size(), chunk));
    link_.counters.bytes += part.size();
    co_await until(link_.shaper.reserve(line_, part.size(), Clock::now()));
    co_await client_.write(part);
    bytes = bytes.subspan(part.size());
  }
}

awaitable<void> Session::splice_body(std::uint64_t length) {
  if (!pipe_) pipe_.emplace();
  while (length > 0) {
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(length, chunk));
    wait_for_at_least(wanted);
    ssize_t got = 0;
    while ((got = ::splice(upstream_.native_handle(), nullptr, pipe_->in(), nullptr, wanted,
                           SPLICE_F_NONBLOCK | SPLICE_F_MOVE)) < 0) {
      if (errno != EAGAIN) system_failed(errno);
      co_await upstream_.async_wait(tcp::socket::wait_read, asio::use_awaitable);
    }
    if (got == 0) throw std::runtime_error("answer: ended early");
    auto left = static_cast<std::size_t>(got);
    length -= left;
    link_.counters.bytes += left;
    co_await until(link_.shaper.reserve(line_, left, Clock::now()));
    while (left > 0) {
      const ssize_t put = ::splice(pipe_->out(), nullptr, client_.socket().native_handle(), nullptr, left,
                                   SPLICE_F_NONBLOCK | SPLICE_F_MOVE | (length > 0 ? SPLICE_F_MORE : 0U));
      if (put > 0) {
        left -= static_cast<std::size_t>(put);
      } else if (put < 0 && errno != EAGAIN) {
        system_failed(errno);
      } else {
        co_await client_.socket().async_wait(tcp::socket::wait_write, asio::use_awaitable);
      }
    }
  }
}

awaitable<void> Session::copy_body(std::uint64_t length) {
  buffer_.resize(chunk);
  while (length > 0) {
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(length, chunk));
    wait_for_at_least(wanted);
    const std::size_t got =
        co_await asio::async_read(upstream_, asio::buffer(buffer_.data(), wanted), asio::use_awaitable);
    length -= got;
    co_await send({buffer_.data(), got});
  }
}

awaitable<void> Session::read_answer_head(std::string& received) {
  wait_for_at_least(1);
  std::array<char, 4096> bytes;
  while (head_size(received) == 0) {
    const std::size_t size = co_await upstream_.async_read_some(asio::buffer(bytes), asio::use_awaitable);
    received.append(bytes.data(), size);
  }
}

awaitable<void> Session::relay_answer(const RequestHead& request, bool& keep_alive) {
  const auto first_byte = Clock::now() + link_.shaper.draw_latency();
  std::string received;
  co_await read_answer_head(received);
  const std::size_t head = head_size(received);
  const auto answer = parse_response(std::string_view(received).substr(0, head), request.is_head);
  const std::uint64_t body_received = received.size() - head;
  if (body_received > answer.length) throw std::runtime_error("answer: longer than it says");
  co_await until(first_byte);
  co_await send(received);
  const std::uint64_t rest = answer.length - body_received;
  if (client_.is_plain()) {
    co_await splice_body(rest);
  } else {
    co_await copy_body(rest);
  }
  keep_alive = request.keep_alive && answer.keep_alive;
}

awaitable<void> Session::run() {
  client_.socket().set_option(tcp::no_delay(true));
  client_.socket().non_blocking(true);
  co_await client_.handshake();
  co_await upstream_.async_connect(link_.upstream, asio::use_awaitable);
  upstream_.set_option(tcp::no_delay(true));
  upstream_.non_blocking(true);
  std::string received;
  for (bool keep_alive = true; keep_alive;) {
    std::size_t head = 0;
    while ((head = head_size(received)) == 0) {
      const std::size_t before = received.size();
      co_await client_.read(received);
      if (received.size() == before) co_return; // closed between requests
    }
    const auto request = parse_request(std::string_view(received).substr(0, head));
    ++link_.counters.requests;
    link_.counters.gets += request.is_get ? 1 : 0;
    co_await asio::async_write(upstream_, asio::buffer(received.data(), head), asio::use_awaitable);
    received.erase(0, head);
    co_await relay_answer(request, keep_alive);
  }
}

} // namespace

awaitable<void> serve(tcp::socket client, Link& link) {
  ++link.counters.connections;
  Session session(std::move(client), link);
  co_await session.run();
}

} // namespace tmpdump::bench
