// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/error.h"
#include "config/options.h"
#include "credentials/keys.h"
#include "net/network.h"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>

namespace tmpdump::credentials {

// net::Network::exchange, and the clock that Expiration is compared with: the seams for tests.
using Exchange = std::function<boost::asio::awaitable<result<net::Network::Response>>(
    const net::Origin& origin, const net::Request& request, std::size_t max_body,
    std::chrono::milliseconds total)>;
using Now = std::function<std::chrono::system_clock::time_point()>;

// Gives credentials that are valid for at least the next minutes; refreshes before they expire, at most one
// refresh at a time, shared by all who wait. Order as in AWS's SDKs: environment keys, then the container
// endpoint. A refresh that fails while the old ones are valid is not an error: they serve on.
// Thread rules: all calls on the network thread. nullptr from get() means: do not sign (--no-sign-request).
class Provider {
public:
  // `network` must outlive the provider and what get() returned.
  Provider(const config::Options& options, net::Network& network);
  Provider(const config::Options& options, Exchange exchange, Now now);
  ~Provider();
  Provider(const Provider&) = delete;
  Provider& operator=(const Provider&) = delete;

  boost::asio::awaitable<result<std::shared_ptr<const Credentials>>> get();
  // After ExpiredToken or InvalidToken: forget `rejected`, so that the next get() asks again. Does nothing
  // when newer ones were fetched meanwhile. False: these cannot be refreshed (environment keys).
  bool invalidate(const std::shared_ptr<const Credentials>& rejected);

private:
  struct State;
  std::shared_ptr<State> state_; // shared with the coroutines of get()
};

} // namespace tmpdump::credentials
