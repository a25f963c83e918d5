// SPDX-License-Identifier: Apache-2.0
// Answers of a hostile HTTP server, read by the real connection from a real socket: whole, and cut into
// pieces. Both must be the same answers.
#include "fuzz.h"
#include "net/http_connection.h"
#include "s3/response.h"
#include "support/run.h"

#include <boost/asio/ip/tcp.hpp>

#include <array>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

using namespace tmpdump;
using namespace tmpdump::fuzz;
namespace asio = boost::asio;

namespace {

constexpr std::chrono::milliseconds ample{3'600'000};
constexpr std::size_t most_body = std::size_t{1} << 18U;

struct Answer {
  unsigned status = 0;
  std::vector<std::pair<std::string, std::string>> headers;
  std::optional<std::uint64_t> content_length;
  std::string body;
  bool whole = false, reusable = false;
  bool operator==(const Answer&) const = default;
};

asio::awaitable<result<void>> converse(net::Connection& connection, bool head, std::vector<Answer>& answers,
                                       Chance& chance, bool whole) {
  for (int exchange = 0; exchange < 3; ++exchange) {
    net::Request request;
    if (head) request.method = "HEAD";
    const auto got = co_await connection.request(request, ample);
    if (!got) {
      require_message(got.error());
      break;
    }
    Answer answer{got->status, got->headers, got->content_length, {}, false, false};
    require(got->status >= 200 && got->status <= 999, "an answer is final");
    for (;;) {
      std::array<std::byte, 4096> buffer; // NOLINT(cppcoreguidelines-pro-type-member-init)
      const auto out = MutableBytes(buffer).first(whole ? buffer.size() : chance.size(buffer.size()));
      const auto read = co_await connection.read_body(out, ample);
      if (!read) {
        require_message(read.error());
        break;
      }
      require(*read <= out.size(), "not more than there is room for");
      answer.whole = *read == 0;
      if (answer.whole) break;
      answer.body += text_of(Bytes(out).first(*read));
      if (answer.body.size() > most_body) break;
    }
    answer.reusable = connection.reusable();
    require(!answer.reusable || answer.whole, "a connection is used again after a whole body alone");
    if (!head && answer.whole && answer.content_length && got->status != 204 && got->status != 304) {
      require(answer.body.size() == *answer.content_length, "a whole body is as long as announced");
    }
    const bool again = answer.reusable;
    answers.push_back(std::move(answer));
    if (!again) break;
  }
  co_return boost::system::in_place_value;
}

std::vector<Answer> read_answers(Bytes wire, bool head, Chance& chance, bool whole) {
  static asio::io_context context;
  context.restart();
  int ends[2];
  require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, "socketpair");
  std::vector<Answer> answers;
  {
    asio::ip::tcp::socket socket(context);
    socket.assign(asio::ip::tcp::v4(), ends[0]);
    const auto stream = std::make_shared<net::Stream>(std::move(socket));
    const auto connection =
        net::make_http_connection(stream, {false, "origin.test", 80}, "fuzz", net::ConnectionTimes{});
    test::Running<result<void>> running(context, converse(*connection, head, answers, chance, whole));
    while (!wire.empty() && !running.done()) {
      const std::size_t piece = whole ? wire.size() : std::min(wire.size(), chance.size(2048));
      if (::send(ends[1], wire.data(), piece, MSG_NOSIGNAL) < 0) break;
      wire = wire.subspan(piece);
      if (!whole) context.poll();
    }
    ::shutdown(ends[1], SHUT_WR);
    require(running.get().has_value(), "the conversation ends");
  }
  context.poll();
  ::close(ends[1]);
  return answers;
}

} // namespace

FUZZ_TARGET(http) {
  Chance chance(input.peek());
  const bool head = (input.number<std::uint8_t>() & 7U) == 7;
  const Bytes wire = input.rest();
  if (wire.size() > 100'000) return; // what a socket holds
  const auto at_once = read_answers(wire, head, chance, true);
  const auto in_pieces = read_answers(wire, head, chance, false);
  // Bytes behind an answer that nobody asked for end the connection: when they are seen depends on the
  // pieces.
  const std::size_t common = std::min(at_once.size(), in_pieces.size());
  require(common > 0 || at_once.size() == in_pieces.size(), "how bytes are cut decides nothing");
  for (std::size_t i = 0; i < common; ++i) {
    require(at_once[i].status == in_pieces[i].status && at_once[i].headers == in_pieces[i].headers &&
                at_once[i].content_length == in_pieces[i].content_length,
            "the same header however it is cut");
    require(at_once[i].whole == in_pieces[i].whole, "a body that is whole is so however it is cut");
    const std::size_t bytes = std::min(at_once[i].body.size(), in_pieces[i].body.size());
    require(at_once[i].body.compare(0, bytes, in_pieces[i].body, 0, bytes) == 0, "the same body");
    require(!at_once[i].whole || at_once[i].body == in_pieces[i].body, "all of the same body");
    net::ResponseHead answer{at_once[i].status, at_once[i].headers, at_once[i].content_length};
    const auto extent = s3::check_extent(answer, {.range = s3::Slice{0, 1U << 20U}, .if_match = {}});
    if (!extent) require_message(extent.error().failure);
  }
}
