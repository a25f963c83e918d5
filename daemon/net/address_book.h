// SPDX-License-Identifier: Apache-2.0
// In which order a host's addresses are tried.
#pragma once

#include "net/network.h"

#include <map>

namespace tmpdump::net {

using Addresses = std::vector<boost::asio::ip::address>;

class AddressBook {
public:
  // How long a failed address is tried last. Up: a recovered one idles longer; down: more attempts at a dead
  // one.
  static constexpr std::chrono::seconds penalty{30};

  // `addresses` rotated by one at each call for `host` within each family, families in turn with IPv6 first
  // (RFC 8305 section 4), those that failed lately at the end.
  Addresses order(const std::string& host, const Addresses& addresses, Clock::time_point now);
  void failed(const boost::asio::ip::address& address, Clock::time_point now);
  void worked(const boost::asio::ip::address& address);

private:
  std::map<std::string, std::size_t> turns_;
  std::map<boost::asio::ip::address, Clock::time_point> penalised_until_;
};

} // namespace tmpdump::net
