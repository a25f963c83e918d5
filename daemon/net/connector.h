// SPDX-License-Identifier: Apache-2.0
// TCP connections to the first of several addresses that answers.
#pragma once

#include "net/address_book.h"

#include <boost/asio/ip/tcp.hpp>

namespace tmpdump::net {

class Connector {
public:
  // When the next address is tried although the last may still answer (RFC 8305 section 8: 100 ms to 2 s, 250
  // ms recommended).
  static constexpr std::chrono::milliseconds stagger{250};

  Connector(boost::asio::io_context& context, std::chrono::milliseconds timeout)
      : context_(context), timeout_(timeout) {}

  // Each address gets `timeout`; a failed one is followed by the next at once. TCP_NODELAY is set.
  boost::asio::awaitable<result<boost::asio::ip::tcp::socket>> connect(const Origin& origin,
                                                                       Addresses addresses);
  // The address took the connection but failed later, in TLS.
  void failed(const boost::asio::ip::address& address) { book_.failed(address, Clock::now()); }

private:
  boost::asio::io_context& context_;
  std::chrono::milliseconds timeout_;
  AddressBook book_;
};

} // namespace tmpdump::net
