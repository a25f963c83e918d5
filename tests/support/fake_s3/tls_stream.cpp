// SPDX-License-Identifier: Apache-2.0
// TLS over memory BIOs: OpenSSL does the records, the socket stays ours, so that a fault can cut it anywhere.
#include "support/fake_s3/stream.h"
#include "support/fake_s3_fault.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <array>
#include <string>
#include <unistd.h>
#include <vector>

namespace tmpdump::test {
namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

constexpr auto use_tuple = asio::as_tuple(asio::use_awaitable);

class TlsStream final : public Stream {
public:
  TlsStream(tcp::socket socket, SSL_CTX* context)
      : Stream(std::move(socket)), ssl_(SSL_new(context)), incoming_(BIO_new(BIO_s_mem())),
        outgoing_(BIO_new(BIO_s_mem())) {
    SSL_set_bio(ssl_, incoming_, outgoing_); // owns both from here on
    SSL_set_accept_state(ssl_);
  }
  ~TlsStream() override { SSL_free(ssl_); }

  asio::awaitable<bool> handshake(std::uint64_t most) override {
    may_send_ = most;
    const bool done = co_await shake_hands();
    may_send_ = forever;
    co_return done;
  }

  asio::awaitable<void> alert() override {
    // OpenSSL says it of itself to who sends a record that nobody can have sealed.
    static constexpr std::string_view nonsense("\x17\x03\x03\x00\x20nonsensenonsensenonsensenonsense", 37);
    BIO_write(incoming_, nonsense.data(), static_cast<int>(nonsense.size()));
    char ignored = 0;
    std::size_t n = 0;
    ERR_clear_error();
    SSL_read_ex(ssl_, &ignored, 1, &n);
    co_await flush();
  }

  asio::awaitable<void> bad_record() override {
    // What is sealed in it belongs nowhere: who takes it without a look at the seal has other bytes.
    const std::string wrong(1'000, '?');
    std::size_t n = 0;
    ERR_clear_error();
    if (SSL_write_ex(ssl_, wrong.data(), wrong.size(), &n) != 1) co_return;
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(outgoing_, &bytes);
    if (size > 0) bytes[size - 1] ^= 1; // of the tag (RFC 8446 section 5.2)
    co_await flush();
  }

  asio::awaitable<std::size_t> read_some(MutableBytes out) override {
    for (;;) {
      std::size_t n = 0;
      ERR_clear_error();
      const int status = SSL_read_ex(ssl_, out.data(), out.size(), &n);
      const bool flushed = co_await flush();
      if (status == 1) co_return n;
      if (!flushed || SSL_get_error(ssl_, status) != SSL_ERROR_WANT_READ) co_return 0;
      const bool more = co_await feed();
      if (!more) co_return 0;
    }
  }

  asio::awaitable<bool> write(std::string_view text) override {
    if (text.empty()) co_return true;
    std::size_t n = 0;
    ERR_clear_error();
    if (SSL_write_ex(ssl_, text.data(), text.size(), &n) != 1) co_return false; // a memory BIO takes all
    co_return co_await flush();
  }

  asio::awaitable<bool> send_file(int fd, std::uint64_t offset, std::uint64_t length,
                                  std::uint64_t& sent) override {
    std::vector<char> block(131'072);
    while (length > 0) {
      const ssize_t n = ::pread(fd, block.data(), std::min<std::uint64_t>(block.size(), length),
                                static_cast<off_t>(offset));
      if (n <= 0) co_return false;
      const auto size = static_cast<std::size_t>(n);
      const bool ok = co_await write({block.data(), size});
      if (!ok) co_return false;
      sent += size;
      offset += size;
      length -= size;
    }
    co_return true;
  }

  asio::awaitable<void> close() override {
    ERR_clear_error();
    SSL_shutdown(ssl_); // close_notify; the peer's is not waited for
    co_await flush();
    boost::system::error_code ignored;
    socket_.shutdown(tcp::socket::shutdown_send, ignored);
    socket_.close(ignored);
  }

private:
  asio::awaitable<bool> shake_hands() {
    for (;;) {
      ERR_clear_error();
      const int status = SSL_do_handshake(ssl_);
      const bool flushed = co_await flush();
      if (status == 1) co_return flushed;
      if (!flushed || SSL_get_error(ssl_, status) != SSL_ERROR_WANT_READ) co_return false;
      const bool more = co_await feed();
      if (!more) co_return false;
    }
  }

  // Records from OpenSSL to the socket, as far as it may send.
  asio::awaitable<bool> flush() {
    char* bytes = nullptr;
    const long pending = BIO_get_mem_data(outgoing_, &bytes);
    if (pending <= 0) co_return true;
    const auto size = static_cast<std::uint64_t>(pending);
    const std::uint64_t length = std::min(size, may_send_);
    const auto [error, n] = co_await asio::async_write(socket_, asio::buffer(bytes, length), use_tuple);
    static_cast<void>(BIO_reset(outgoing_));
    if (may_send_ != forever) may_send_ -= length;
    co_return !error && length == size;
  }

  // Bytes from the socket to OpenSSL.
  asio::awaitable<bool> feed() {
    std::array<char, 16'384> bytes; // NOLINT(cppcoreguidelines-pro-type-member-init): filled by the read
    const auto [error, n] = co_await socket_.async_read_some(asio::buffer(bytes), use_tuple);
    if (error || n == 0) co_return false;
    BIO_write(incoming_, bytes.data(), static_cast<int>(n));
    co_return true;
  }

  SSL* ssl_;
  BIO* incoming_;
  BIO* outgoing_;
  std::uint64_t may_send_ = forever; // bytes
};

} // namespace

std::unique_ptr<Stream> make_tls_stream(tcp::socket socket, ssl_ctx_st* context) {
  return std::make_unique<TlsStream>(std::move(socket), context);
}

} // namespace tmpdump::test
