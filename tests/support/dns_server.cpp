// SPDX-License-Identifier: Apache-2.0
#include "support/dns_server.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <string_view>

namespace tmpdump::test {
namespace {

namespace asio = boost::asio;
using asio::ip::udp;

void add16(std::string& out, unsigned value) {
  out.push_back(static_cast<char>(value >> 8U));
  out.push_back(static_cast<char>(value & 0xFFU));
}

template <class AddressBytes>
void add_answer(std::string& out, unsigned type, std::uint32_t ttl, const AddressBytes& address) {
  add16(out, 0xC00C); // the question's name
  add16(out, type);
  add16(out, 1);
  add16(out, ttl >> 16U);
  add16(out, ttl & 0xFFFFU);
  add16(out, static_cast<unsigned>(address.size()));
  out.append(address.begin(), address.end());
}

} // namespace

struct DnsServer::State {
  explicit State(asio::io_context& context)
      : socket(context, udp::endpoint(asio::ip::address_v4::loopback(), 0)) {}

  // RFC 1035 section 4; empty: no answer.
  std::string answer(std::string_view query) {
    std::string name;
    std::size_t at = 12;
    while (at < query.size() && query[at] != 0) {
      if (!name.empty()) name.push_back('.');
      const auto length = static_cast<unsigned char>(query[at]);
      name.append(query.substr(at + 1, length));
      at += length + 1U;
    }
    const std::string_view question = query.substr(12, at + 5 - 12);
    const bool v6 = question[question.size() - 3] == 28;
    const auto found = records.find(name);
    const bool known = script || found != records.end();
    const DnsRecord record = script ? script(questions) : known ? found->second : DnsRecord{};
    if (v6 ? record.ignore_v6 : record.ignore_v4) return {};
    const auto& addresses = v6 ? record.v6 : record.v4;
    std::string out(query.substr(0, 2));
    add16(out, 0x8180U | (known ? record.rcode : 3U));
    add16(out, 1);
    add16(out, static_cast<unsigned>(addresses.size()));
    add16(out, 0);
    add16(out, 0);
    out.append(question);
    for (const auto& address : addresses) {
      if (v6) {
        add_answer(out, 28, record.ttl, asio::ip::make_address_v6(address).to_bytes());
      } else {
        add_answer(out, 1, record.ttl, asio::ip::make_address_v4(address).to_bytes());
      }
    }
    return out;
  }

  // Static: a coroutine's first step comes later, and `self` must live from now on.
  static asio::awaitable<void> serve(std::shared_ptr<State> self) {
    for (;;) {
      char buffer[1500];
      udp::endpoint from;
      const auto [ec, size] = co_await self->socket.async_receive_from(asio::buffer(buffer), from,
                                                                       asio::as_tuple(asio::use_awaitable));
      if (ec) co_return;
      ++self->questions;
      const std::string reply = self->garbage.empty() ? self->answer({buffer, size}) : self->garbage;
      boost::system::error_code ignored;
      if (!reply.empty()) self->socket.send_to(asio::buffer(reply), from, 0, ignored);
    }
  }

  udp::socket socket;
  std::map<std::string, DnsRecord> records;
  int questions = 0;
  std::string garbage;
  std::function<DnsRecord(int)> script;
};

DnsServer::DnsServer(asio::io_context& context) : state_(std::make_shared<State>(context)) {
  asio::co_spawn(context, State::serve(state_), asio::detached);
}

DnsServer::~DnsServer() {
  state_->socket.close();
}

std::map<std::string, DnsRecord>& DnsServer::records() {
  return state_->records;
}
std::string DnsServer::address() const {
  return "127.0.0.1:" + std::to_string(state_->socket.local_endpoint().port());
}
int DnsServer::questions() const {
  return state_->questions;
}
void DnsServer::script(std::function<DnsRecord(int)> answers) {
  state_->script = std::move(answers);
}
void DnsServer::garbage(std::string answer) {
  state_->garbage = std::move(answer);
}

} // namespace tmpdump::test
