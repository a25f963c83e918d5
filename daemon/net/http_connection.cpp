// SPDX-License-Identifier: Apache-2.0
#include "net/http_connection.h"

#include "net/request_head.h"

#include <boost/asio/post.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>

#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace tmpdump::net {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;

constexpr std::size_t header_limit = std::size_t{16} * 1024;
constexpr unsigned most_informational = 8; // 1xx before a response; more is a peer that plays for time
// Bytes after which a reader that never had to wait lets the other coroutines run: a millisecond or less.
constexpr std::size_t fair_share = std::size_t{1} << 20U;
constexpr std::string_view idle_close = "the server closed the idle connection";

// Everything that an operation needs, kept alive by it: the connection itself may be gone when it resumes.
class Session {
public:
  Session(std::shared_ptr<Stream> stream, Origin origin, std::string user_agent, const ConnectionTimes& times)
      : stream_(std::move(stream)), origin_(std::move(origin)), user_agent_(std::move(user_agent)),
        times_(times) {}
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session() { OPENSSL_cleanse(buffer_.data(), buffer_.size()); } // an endpoint may have answered with keys

  // `self` keeps the session from the call on, not only from the coroutine's first step on.
  asio::awaitable<result<ResponseHead>> request(std::shared_ptr<Session> self, result<std::string> wire,
                                                bool is_head, std::chrono::milliseconds first_byte);
  asio::awaitable<result<std::size_t>> read_body(std::shared_ptr<Session> self, MutableBytes out,
                                                 std::chrono::milliseconds progress);
  [[nodiscard]] result<std::string> serialize(const Request& request) const {
    return net::serialize(request, origin_, user_agent_);
  }
  [[nodiscard]] bool reusable() const {
    return body_ == Body::complete && keep_alive_ && begin_ == end_ && stream_->is_open();
  }
  void close() { stream_->close(); }
  [[nodiscard]] const ConnectionTimes& times() const { return times_; }
  [[nodiscard]] std::string peer() const { return stream_->peer(); }
  [[nodiscard]] int silent_socket() const {
    return silent_ && stream_->is_open() ? stream_->native_handle() : -1;
  }

private:
  using Parser = http::response_parser<http::buffer_body>;
  enum class Body { pending, sized, chunked, until_close, complete };

  asio::awaitable<result<ResponseHead>> converse(std::string wire, bool is_head,
                                                 std::chrono::milliseconds limit);
  asio::awaitable<result<void>> send(std::string wire, std::chrono::milliseconds limit);
  asio::awaitable<result<void>> receive_head(bool is_head, std::chrono::milliseconds limit);
  result<bool> parse_head();
  result<ResponseHead> accept_head();
  result<Io> step_body(MutableBytes out);
  result<Io> step_chunked(MutableBytes out);
  Io fill();
  std::size_t take_buffered(MutableBytes out);
  void count(std::size_t bytes);
  [[nodiscard]] Failure failure(std::string_view what, Errc code = Errc::network) const;
  [[nodiscard]] Failure body_failure(IoStatus status) const;
  [[nodiscard]] std::string received() const;

  std::shared_ptr<Stream> stream_;
  Origin origin_;
  std::string user_agent_;
  ConnectionTimes times_;

  // What was read beyond the last thing parsed: [begin_, end_).
  std::array<std::byte, header_limit> buffer_;
  std::size_t begin_ = 0, end_ = 0;

  std::optional<Parser> parser_; // of the current response
  std::size_t head_size_ = 0;
  Body body_ = Body::complete;
  bool keep_alive_ = true;
  bool silent_ = false;        // waits for an answer, or for more of its header
  bool starved_ = false;       // the parser left what is buffered as too little
  std::uint64_t left_ = 0;     // of a sized body
  std::uint64_t received_ = 0; // of the current body
  std::size_t unyielded_ = 0;
  unsigned answered_ = 0; // responses so far
};

asio::awaitable<result<ResponseHead>> Session::request([[maybe_unused]] std::shared_ptr<Session> self,
                                                       result<std::string> wire, bool is_head,
                                                       std::chrono::milliseconds first_byte) {
  if (!wire) co_return std::move(wire).error();
  const WipedAtEnd unsent(*wire);
  if (!reusable()) co_return failure("not in a state to take a request", Errc::usage);
  body_ = Body::pending;
  result<ResponseHead> head = cancelled(origin_);
  try {
    head = co_await converse(std::move(*wire), is_head, first_byte);
  } catch (const boost::system::system_error&) {
    // Asio throws operation_aborted at an await that follows a cancellation: `head` says so already.
  }
  if (!head) close();
  co_return head;
}

asio::awaitable<result<ResponseHead>> Session::converse(std::string wire, bool is_head,
                                                        std::chrono::milliseconds limit) {
  // A signature, a token: no less where the connection turns out to be closed.
  const WipedAtEnd unsent(wire);
  if (answered_ > 0) { // anything but silence on an idle connection ends it
    const Io io = fill();
    if (io.status == IoStatus::done) co_return failure("the server sent bytes that nothing had asked for");
    if (io.status == IoStatus::end || io.status == IoStatus::cut) co_return failure(idle_close);
  }
  TMPDUMP_CO_CHECK(co_await send(std::move(wire), limit));
  TMPDUMP_CO_CHECK(co_await receive_head(is_head, limit));
  ++answered_;
  co_return accept_head();
}

asio::awaitable<result<void>> Session::send(std::string wire, std::chrono::milliseconds limit) {
  const WipedAtEnd wiped(wire); // a signature, a token
  const auto deadline = deadline_after(limit);
  Bytes left = bytes_of(wire);
  while (!left.empty()) {
    const Io io = stream_->try_write(left);
    if (io.status == IoStatus::done) {
      left = left.subspan(io.bytes);
      continue;
    }
    if (io.status == IoStatus::cut && answered_ > 0) co_return failure(idle_close);
    if (io.status != IoStatus::want_read && io.status != IoStatus::want_write) {
      co_return failure("send: " + stream_->error());
    }
    const Readiness ready = co_await stream_->wait(io.status, deadline);
    if (ready == Readiness::cancelled) co_return cancelled(origin_);
    if (ready == Readiness::timed_out) {
      co_return failure("request not taken within " + std::to_string(limit.count()) + " ms", Errc::timeout);
    }
  }
  co_return boost::system::in_place_value;
}

// Until parser_ holds the header of the final response.
asio::awaitable<result<void>> Session::receive_head(bool is_head, std::chrono::milliseconds limit) {
  const auto deadline = deadline_after(limit);
  for (unsigned informational = 0;; ++informational) {
    parser_.emplace();
    head_size_ = 0;
    parser_->header_limit(static_cast<std::uint32_t>(header_limit));
    parser_->body_limit(boost::none); // the reader's buffers are the limit
    parser_->skip(is_head);
    for (;;) {
      TMPDUMP_CO_TRY(const bool complete, parse_head());
      if (complete) break;
      const Io io = fill();
      if (io.status == IoStatus::done) continue;
      if (io.status == IoStatus::end || io.status == IoStatus::cut) {
        if (begin_ != end_ || parser_->got_some())
          co_return failure("the server closed the connection within a header");
        if (answered_ > 0) co_return failure(idle_close);
        co_return failure("the server closed the connection without an answer");
      }
      if (io.status == IoStatus::failed) co_return failure("receive: " + stream_->error());
      silent_ = io.status == IoStatus::want_read;
      const Readiness ready = co_await stream_->wait(io.status, deadline);
      silent_ = false;
      if (ready == Readiness::cancelled) co_return cancelled(origin_);
      if (ready == Readiness::timed_out) {
        co_return failure("no response within " + std::to_string(limit.count()) + " ms", Errc::timeout);
      }
    }
    const unsigned status = parser_->get().result_int();
    if (status < 100) co_return failure("bad response: no such status"); // Beast takes any three digits
    if (status / 100 != 1) co_return boost::system::in_place_value;
    if (status == 101) co_return failure("the server switched protocols unasked");
    if (informational == most_informational) co_return failure("too many 1xx responses");
  }
}

// True when the header is complete.
result<bool> Session::parse_head() {
  if (begin_ == end_) return false;
  boost::system::error_code ec;
  const std::size_t used = parser_->put(asio::buffer(buffer_.data() + begin_, end_ - begin_), ec);
  begin_ += used;
  head_size_ += used; // Beast's own limit starts anew with each field
  if (head_size_ > header_limit || ec == http::error::header_limit) {
    return failure("the response's header is longer than 16 KiB");
  }
  if (ec == http::error::need_more) return false;
  if (ec) return failure("bad response: " + ec.message());
  return parser_->is_header_done();
}

result<ResponseHead> Session::accept_head() {
  const auto& message = parser_->get();
  ResponseHead head;
  head.status = message.result_int();
  for (const auto& field : message) {
    std::string name(field.name_string());
    for (char& c : name) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    head.headers.emplace_back(std::move(name), std::string(field.value()));
  }
  // RFC 9112 section 6.3: a coding that we do not know, or chunked not last, leaves the body's end unknown.
  const auto codings = message.count(http::field::transfer_encoding);
  if (codings > 0 &&
      (codings > 1 || !boost::beast::iequals(message[http::field::transfer_encoding], "chunked") ||
       !parser_->chunked())) {
    return failure("transfer coding other than chunked");
  }
  if (const auto length = parser_->content_length()) head.content_length = *length;
  keep_alive_ = parser_->keep_alive() && message.version() == 11;
  received_ = 0;
  starved_ = false;
  left_ = head.content_length.value_or(0);
  body_ = parser_->is_done()    ? Body::complete
          : parser_->chunked()  ? Body::chunked
          : head.content_length ? Body::sized
                                : Body::until_close;
  return head;
}

asio::awaitable<result<std::size_t>> Session::read_body([[maybe_unused]] std::shared_ptr<Session> self,
                                                        MutableBytes out,
                                                        std::chrono::milliseconds progress) {
  if (body_ == Body::complete) co_return std::size_t{0};
  if (body_ == Body::pending || out.empty())
    co_return failure("read_body without a response or room", Errc::usage);
  if (unyielded_ >= fair_share) {
    unyielded_ = 0;
    co_await asio::post(stream_->executor(), asio::use_awaitable);
  }
  std::optional<Clock::time_point> deadline;
  for (;;) {
    if (!stream_->is_open() || is_cancelled(co_await asio::this_coro::cancellation_state)) break;
    const auto step = step_body(out);
    if (!step) {
      close();
      co_return step.error();
    }
    if (step->bytes > 0 || body_ == Body::complete) {
      unyielded_ += step->bytes;
      co_return step->bytes;
    }
    if (step->status == IoStatus::done) continue; // framing came, no content
    if (!deadline) deadline = deadline_after(progress);
    unyielded_ = 0;
    const Readiness ready = co_await stream_->wait(step->status, *deadline);
    if (ready == Readiness::cancelled) break;
    if (ready == Readiness::timed_out) {
      close();
      co_return failure("no byte of the body for " + std::to_string(progress.count()) + " ms, " + received(),
                        Errc::timeout);
    }
  }
  close();
  co_return cancelled(origin_);
}

// One try at content for `out`; `want_*` when there is none yet.
result<Io> Session::step_body(MutableBytes out) {
  if (body_ == Body::chunked) return step_chunked(out);
  if (body_ == Body::sized)
    out = out.first(static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), left_)));
  Io io{IoStatus::done, take_buffered(out)};
  if (io.bytes == 0) io = stream_->try_read(out);
  if (io.status == IoStatus::end && body_ == Body::until_close) {
    body_ = Body::complete;
    return Io{IoStatus::done, 0};
  }
  if (io.status != IoStatus::done && io.status != IoStatus::want_read && io.status != IoStatus::want_write) {
    return body_failure(io.status);
  }
  count(io.bytes);
  if (body_ == Body::sized && (left_ -= io.bytes) == 0) body_ = Body::complete;
  return io;
}

result<Io> Session::step_chunked(MutableBytes out) {
  // A chunked body that has not ended has at least "0\r\n\r\n" to come. Beast, once it has seen the last
  // chunk's first line, takes for granted that so much is there.
  constexpr std::size_t shortest_rest = 5;
  auto& content = parser_->get().body();
  content.data = out.data();
  content.size = out.size();
  while (begin_ != end_ && (!starved_ || end_ - begin_ >= shortest_rest)) {
    boost::system::error_code ec;
    const std::size_t used = parser_->put(asio::buffer(buffer_.data() + begin_, end_ - begin_), ec);
    begin_ += used;
    starved_ = ec == http::error::need_more;
    if (ec && !starved_ && ec != http::error::need_buffer)
      return failure("bad chunked body: " + ec.message());
    const std::size_t bytes = out.size() - content.size;
    if (parser_->is_done()) body_ = Body::complete;
    if (bytes > 0 || body_ == Body::complete) {
      count(bytes);
      return Io{IoStatus::done, bytes};
    }
    if (starved_ && used == 0) break;
  }
  if (begin_ == 0 && end_ == buffer_.size()) return failure("chunked body with a line longer than 16 KiB");
  const Io io = fill();
  if (io.status == IoStatus::end || io.status == IoStatus::cut || io.status == IoStatus::failed) {
    return body_failure(io.status);
  }
  return Io{io.status, 0};
}

// Reads behind what is buffered.
Io Session::fill() {
  if (begin_ > 0) {
    std::copy(buffer_.data() + begin_, buffer_.data() + end_, buffer_.data());
    end_ -= begin_;
    begin_ = 0;
  }
  if (end_ == buffer_.size()) return {IoStatus::failed, 0};
  const Io io = stream_->try_read(MutableBytes(buffer_).subspan(end_));
  end_ += io.bytes;
  return io;
}

std::size_t Session::take_buffered(MutableBytes out) {
  const std::size_t size = std::min(out.size(), end_ - begin_);
  if (size > 0) std::memcpy(out.data(), buffer_.data() + begin_, size);
  begin_ += size;
  return size;
}

void Session::count(std::size_t bytes) {
  received_ += bytes;
}

Failure Session::failure(std::string_view what, Errc code) const {
  return {code, origin_.display() + " (" + stream_->peer() + "): " + std::string(what)};
}

Failure Session::body_failure(IoStatus status) const {
  if (status == IoStatus::failed) return failure("receive: " + stream_->error() + ", " + received());
  return failure("the server closed the connection " + received());
}

std::string Session::received() const {
  std::string text = "after " + std::to_string(received_);
  if (body_ == Body::sized) text += " of " + std::to_string(received_ + left_);
  return text + " bytes of the body";
}

class HttpConnection final : public Connection {
public:
  explicit HttpConnection(std::shared_ptr<Session> session) : session_(std::move(session)) {}
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;
  ~HttpConnection() override { session_->close(); }

  asio::awaitable<result<ResponseHead>> request(const Request& request,
                                                std::chrono::milliseconds first_byte) override {
    return session_->request(session_, session_->serialize(request), request.method == "HEAD", first_byte);
  }
  asio::awaitable<result<std::size_t>> read_body(MutableBytes out,
                                                 std::chrono::milliseconds progress) override {
    return session_->read_body(session_, out, progress);
  }
  [[nodiscard]] bool reusable() const override { return session_->reusable(); }
  void close() override { session_->close(); }
  [[nodiscard]] const ConnectionTimes& times() const override { return session_->times(); }
  [[nodiscard]] std::string peer() const override { return session_->peer(); }
  [[nodiscard]] int silent_socket() const override { return session_->silent_socket(); }

private:
  std::shared_ptr<Session> session_;
};

} // namespace

std::unique_ptr<Connection> make_http_connection(std::shared_ptr<Stream> stream, Origin origin,
                                                 std::string user_agent, const ConnectionTimes& times) {
  return std::make_unique<HttpConnection>(
      std::make_shared<Session>(std::move(stream), std::move(origin), std::move(user_agent), times));
}

bool closed_while_idle(const Failure& failure) {
  return failure.code == Errc::network && failure.message.find(idle_close) != std::string::npos;
}

} // namespace tmpdump::net
