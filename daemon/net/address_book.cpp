// SPDX-License-Identifier: Apache-2.0
#include "net/address_book.h"

#include <algorithm>

namespace tmpdump::net {

Addresses AddressBook::order(const std::string& host, const Addresses& addresses, Clock::time_point now) {
  std::erase_if(penalised_until_, [&](const auto& entry) { return entry.second <= now; });
  const std::size_t turn = turns_[host]++;
  Addresses good[2], bad; // IPv6, IPv4
  for (const auto& address : addresses) {
    const bool penalised = penalised_until_.contains(address);
    (penalised ? bad : good[address.is_v4() ? 1 : 0]).push_back(address);
  }
  for (Addresses* group : {&good[0], &good[1], &bad}) {
    if (group->empty()) continue;
    const auto first = static_cast<Addresses::difference_type>(turn % group->size());
    std::rotate(group->begin(), group->begin() + first, group->end());
  }
  Addresses ordered;
  ordered.reserve(addresses.size());
  for (std::size_t i = 0; i < std::max(good[0].size(), good[1].size()); ++i) {
    for (const Addresses& family : good) {
      if (i < family.size()) ordered.push_back(family[i]);
    }
  }
  ordered.insert(ordered.end(), bad.begin(), bad.end());
  return ordered;
}

void AddressBook::failed(const boost::asio::ip::address& address, Clock::time_point now) {
  penalised_until_[address] = now + penalty;
}

void AddressBook::worked(const boost::asio::ip::address& address) {
  penalised_until_.erase(address);
}

} // namespace tmpdump::net
