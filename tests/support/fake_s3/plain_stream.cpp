// SPDX-License-Identifier: Apache-2.0
#include "support/fake_s3/stream.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <algorithm>
#include <cerrno>
#include <sys/sendfile.h>

namespace tmpdump::test {
namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

constexpr auto use_tuple = asio::as_tuple(asio::use_awaitable);

class PlainStream final : public Stream {
public:
  using Stream::Stream;

  asio::awaitable<bool> handshake(std::uint64_t) override { co_return true; }
  asio::awaitable<void> alert() override { co_return; }
  asio::awaitable<void> bad_record() override { co_return; }

  asio::awaitable<std::size_t> read_some(MutableBytes out) override {
    const auto [error, n] = co_await socket_.async_read_some(asio::buffer(out.data(), out.size()), use_tuple);
    co_return error ? 0 : n;
  }

  asio::awaitable<bool> write(std::string_view text) override {
    const auto [error, n] = co_await asio::async_write(socket_, asio::buffer(text), use_tuple);
    co_return !error;
  }

  // sendfile: the page cache goes to the socket without passing through this process.
  asio::awaitable<bool> send_file(int fd, std::uint64_t offset, std::uint64_t length,
                                  std::uint64_t& sent) override {
    constexpr std::uint64_t turn = 4 << 20; // bytes; other connections of this thread come in between
    boost::system::error_code ignored;
    socket_.native_non_blocking(true, ignored);
    auto at = static_cast<off_t>(offset);
    while (length > 0) {
      const ssize_t n = ::sendfile(socket_.native_handle(), fd, &at, std::min(length, turn));
      // 0: the file was cut short behind our back.
      if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) co_return false;
      if (n > 0) {
        sent += static_cast<std::uint64_t>(n);
        length -= static_cast<std::uint64_t>(n);
        if (length == 0) break;
      }
      const auto [error] = co_await socket_.async_wait(tcp::socket::wait_write, use_tuple);
      if (error) co_return false;
    }
    co_return true;
  }

  asio::awaitable<void> close() override {
    boost::system::error_code ignored;
    socket_.shutdown(tcp::socket::shutdown_send, ignored);
    socket_.close(ignored);
    co_return;
  }
};

} // namespace

void Stream::reset() {
  boost::system::error_code ignored;
  socket_.set_option(asio::socket_base::linger(true, 0), ignored);
  socket_.close(ignored);
}

std::unique_ptr<Stream> make_plain_stream(tcp::socket socket) {
  return std::make_unique<PlainStream>(std::move(socket));
}

} // namespace tmpdump::test
