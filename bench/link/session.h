// SPDX-License-Identifier: Apache-2.0
// One connection of the program under test, and the one to the server behind it.
#pragma once

#include "shaper.h"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <openssl/ssl.h>

#include <cstdint>

namespace tmpdump::bench {

// Since the last reset.
struct Counters {
  std::uint64_t connections = 0, requests = 0, gets = 0;
  std::uint64_t bytes = 0; // of answers, heads included, TLS not
};

struct Link {
  boost::asio::ip::tcp::endpoint upstream;
  SSL_CTX* tls = nullptr; // null: plain
  Shaper shaper;
  Counters counters;
};

// Relays requests without a body (GET, HEAD) and their answers, until either side closes. Throws when it
// cannot.
boost::asio::awaitable<void> serve(boost::asio::ip::tcp::socket client, Link& link);

} // namespace tmpdump::bench
