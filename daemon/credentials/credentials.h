// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/error.h"
#include "base/secret.h"
#include "config/options.h"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <string>

namespace tmpdump::net {
class Network;
}

namespace tmpdump::credentials {

struct Credentials {
  std::string access_key_id;
  Secret secret_access_key;
  Secret session_token;                                            // empty: none
  std::optional<std::chrono::system_clock::time_point> expires_at; // none: does not expire
};

// Gives credentials that are valid for at least the next minutes; refreshes before they expire, at most one
// refresh at a time. Order as in AWS's SDKs: environment keys, then the container endpoint.
// Thread rules: all calls on the network thread. nullptr from get() means: do not sign (--no-sign-request).
class Provider {
public:
  // `options` and `network` must outlive the provider.
  Provider(const config::Options& options, net::Network& network);
  ~Provider();
  Provider(const Provider&) = delete;
  Provider& operator=(const Provider&) = delete;

  boost::asio::awaitable<result<std::shared_ptr<const Credentials>>> get();
  // After ExpiredToken or InvalidToken: forget `rejected`, so that the next get() asks again. Does nothing
  // when newer ones were fetched meanwhile. False: these cannot be refreshed (environment keys).
  bool invalidate(const std::shared_ptr<const Credentials>& rejected);

private:
  struct State;
  std::unique_ptr<State> state_;
};

} // namespace tmpdump::credentials
