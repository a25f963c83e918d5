// SPDX-License-Identifier: Apache-2.0
// Names to addresses: literals, localhost, the hosts file, then DNS with a cache.
#pragma once

#include "net/answer_cache.h"
#include "net/dns_query.h"

namespace tmpdump::net {

class Resolver {
public:
  Resolver(boost::asio::io_context& context, DnsOptions dns, std::string hosts_file,
           std::chrono::milliseconds least);

  // At least one address. Answers are kept as AnswerCache does it, `least` or longer; failures are not.
  boost::asio::awaitable<result<Addresses>> resolve(std::string host);
  // What it resolved to was of no use: the next one asks anew.
  void forget(std::string host);

private:
  boost::asio::io_context& context_;
  DnsOptions dns_;
  std::string hosts_file_;
  AnswerCache answers_;
  std::map<std::string, std::weak_ptr<DnsQuery>> pending_;
};

} // namespace tmpdump::net
