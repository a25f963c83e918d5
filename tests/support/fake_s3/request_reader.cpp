// SPDX-License-Identifier: Apache-2.0
#include "support/fake_s3/request_reader.h"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include <array>

namespace tmpdump::test {
namespace asio = boost::asio;
namespace http = boost::beast::http;

namespace {

using Parser = http::request_parser<http::string_body>;

constexpr std::uint32_t header_limit = 65'536;    // bytes
constexpr std::uint64_t body_limit = 64ULL << 20; // bytes; uploads are for small files

Request taken(Parser& parser) {
  auto& message = parser.get();
  Request request;
  request.method = std::string(message.method_string());
  request.target = std::string(message.target());
  for (const auto& field : message)
    request.headers.emplace_back(lower(field.name_string()), field.value());
  request.keep_alive = message.keep_alive();
  request.body = std::move(message.body());
  return request;
}

} // namespace

asio::awaitable<std::optional<Request>> RequestReader::read() {
  Parser parser;
  parser.header_limit(header_limit);
  parser.body_limit(body_limit);
  parser.eager(false); // stops behind the header, for Expect
  bool header_seen = false;
  std::array<std::byte, 16'384> bytes{};
  for (;;) {
    boost::system::error_code error;
    while (!received_.empty() && !parser.is_done() && !error) {
      const std::size_t used = parser.put(asio::buffer(received_), error);
      received_.erase(0, used);
      if (parser.is_header_done() && !header_seen) {
        header_seen = true;
        parser.eager(true);
        if (lower(parser.get()[http::field::expect]) == "100-continue") {
          const bool written = co_await stream_.write("HTTP/1.1 100 Continue\r\n\r\n");
          if (!written) co_return std::nullopt;
        }
      }
    }
    if (error && error != http::error::need_more) {
      co_await stream_.write("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
      co_return std::nullopt;
    }
    if (parser.is_done()) co_return taken(parser);
    const std::size_t n = co_await stream_.read_some(bytes);
    if (n == 0) co_return std::nullopt;
    received_.append(reinterpret_cast<const char*>(bytes.data()), n);
  }
}

} // namespace tmpdump::test
