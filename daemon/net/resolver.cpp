// SPDX-License-Identifier: Apache-2.0
#include "net/resolver.h"

#include "net/await.h"
#include "net/hosts_file.h"

#include <boost/asio/ip/address_v4.hpp>
#include <boost/asio/ip/address_v6.hpp>

namespace tmpdump::net {
namespace {

namespace asio = boost::asio;

// Lower case without the root's dot, or nullopt when it cannot be a host name (RFC 1123, and underscores,
// which buckets' and containers' names have).
std::optional<std::string> canonical_name(std::string host) {
  if (host.ends_with('.')) host.pop_back();
  if (host.empty() || host.size() > 253 || host.front() == '.') return std::nullopt;
  for (char& c : host) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    const bool allowed = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
    if (!allowed) return std::nullopt;
  }
  return host;
}

} // namespace

Resolver::Resolver(asio::io_context& context, DnsOptions dns, std::string hosts_file,
                   std::chrono::milliseconds least)
    : context_(context), dns_(std::move(dns)), hosts_file_(std::move(hosts_file)), answers_(least) {}

asio::awaitable<result<Addresses>> Resolver::resolve(std::string host) {
  boost::system::error_code not_literal;
  const auto literal = asio::ip::make_address(host, not_literal);
  if (!not_literal) co_return Addresses{literal};

  const auto name = canonical_name(host);
  if (!name) co_return Failure{Errc::usage, "resolve '" + printable(host) + "': not a host name"};
  if (*name == "localhost" ||
      name->ends_with(".localhost")) { // RFC 6761 section 6.3: never asked of a server
    Addresses loopback;
    loopback.emplace_back(asio::ip::address_v6::loopback());
    loopback.emplace_back(asio::ip::address_v4::loopback());
    co_return loopback;
  }

  const auto now = Clock::now();
  if (const Addresses* known = answers_.find(*name, now)) co_return *known;

  if (Addresses listed = look_up_hosts_file(hosts_file_, *name); !listed.empty()) {
    answers_.keep(*name, listed, {}, now);
    co_return listed;
  }

  std::erase_if(pending_, [](const auto& entry) { return entry.second.expired(); });
  auto query = pending_[*name].lock();
  if (!query) {
    query = DnsQuery::start(context_, *name, dns_);
    pending_[*name] = query;
  }
  co_await query->wait();
  if (!query->outcome()) co_return Failure{Errc::cancelled, "resolve '" + printable(host) + "': cancelled"};
  pending_.erase(*name);
  const result<DnsAnswer>& outcome = *query->outcome();
  if (!outcome) co_return outcome.error();
  answers_.keep(*name, outcome->addresses, outcome->ttl, Clock::now());
  co_return outcome->addresses;
}

void Resolver::forget(std::string host) {
  if (const auto name = canonical_name(std::move(host))) answers_.forget(*name);
}

} // namespace tmpdump::net
