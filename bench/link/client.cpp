// SPDX-License-Identifier: Apache-2.0
#include "client.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/system/system_error.hpp>

#include <array>
#include <stdexcept>
#include <utility>

namespace tmpdump::bench {

namespace asio = boost::asio;
using asio::awaitable;

namespace {

constexpr std::size_t read_size = 16U << 10U; // requests are small

[[noreturn]] void tls_failed(const char* what) {
  throw std::runtime_error(std::string(what) + ": TLS error");
}

} // namespace

Client::Client(asio::ip::tcp::socket socket, SSL_CTX* tls) : socket_(std::move(socket)) {
  if (tls == nullptr) return;
  ssl_.reset(SSL_new(tls));
  in_ = BIO_new(BIO_s_mem());
  out_ = BIO_new(BIO_s_mem());
  SSL_set_bio(ssl_.get(), in_, out_);
  SSL_set_accept_state(ssl_.get());
}

awaitable<void> Client::flush() {
  char* data = nullptr;
  const long size = BIO_get_mem_data(out_, &data);
  if (size > 0) {
    co_await asio::async_write(socket_, asio::buffer(data, static_cast<std::size_t>(size)),
                               asio::use_awaitable);
  }
  (void)BIO_reset(out_);
}

awaitable<void> Client::receive() {
  std::array<char, read_size> bytes;
  boost::system::error_code error;
  const std::size_t size =
      co_await socket_.async_read_some(asio::buffer(bytes), asio::redirect_error(asio::use_awaitable, error));
  if (error == asio::error::eof) {
    ended_ = true;
  } else if (error) {
    throw boost::system::system_error(error);
  } else {
    (void)BIO_write(in_, bytes.data(), static_cast<int>(size));
  }
}

awaitable<void> Client::handshake() {
  if (!ssl_) co_return;
  for (;;) {
    const int done = SSL_do_handshake(ssl_.get());
    const int error = SSL_get_error(ssl_.get(), done);
    co_await flush();
    if (done == 1) co_return;
    if (error != SSL_ERROR_WANT_READ || ended_) tls_failed("handshake");
    co_await receive();
  }
}

awaitable<void> Client::read(std::string& to) {
  std::array<char, read_size> bytes;
  if (!ssl_) {
    boost::system::error_code error;
    const std::size_t size = co_await socket_.async_read_some(
        asio::buffer(bytes), asio::redirect_error(asio::use_awaitable, error));
    if (error && error != asio::error::eof) throw boost::system::system_error(error);
    to.append(bytes.data(), size);
    co_return;
  }
  while (!ended_) {
    std::size_t size = 0;
    if (SSL_read_ex(ssl_.get(), bytes.data(), bytes.size(), &size) == 1) {
      to.append(bytes.data(), size);
      co_return;
    }
    const int error = SSL_get_error(ssl_.get(), 0);
    if (error == SSL_ERROR_ZERO_RETURN) co_return;
    if (error != SSL_ERROR_WANT_READ) tls_failed("read");
    co_await receive();
  }
}

awaitable<void> Client::write(std::span<const char> bytes) {
  if (!ssl_) {
    co_await asio::async_write(socket_, asio::buffer(bytes.data(), bytes.size()), asio::use_awaitable);
    co_return;
  }
  std::size_t written = 0;
  if (SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &written) != 1) tls_failed("write");
  co_await flush();
}

} // namespace tmpdump::bench
