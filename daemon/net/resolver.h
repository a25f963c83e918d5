// SPDX-License-Identifier: Apache-2.0
// Names to addresses: literals, localhost, the hosts file, then DNS with a cache.
#pragma once

#include "net/dns_query.h"

namespace tmpdump::net {

class Resolver {
public:
  Resolver(boost::asio::io_context& context, DnsOptions dns, std::string hosts_file);

  // At least one address. Answers are kept for their TTL, but for 5 s at least and 5 min at most; failures
  // are not.
  boost::asio::awaitable<result<Addresses>> resolve(std::string host);

private:
  struct Entry {
    Addresses addresses;
    Clock::time_point expires;
  };

  boost::asio::io_context& context_;
  DnsOptions dns_;
  std::string hosts_file_;
  std::map<std::string, Entry> cache_;
  std::map<std::string, std::weak_ptr<DnsQuery>> pending_;
};

} // namespace tmpdump::net
