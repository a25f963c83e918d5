// SPDX-License-Identifier: Apache-2.0
// The one place that ties the provider to the network; tests bring their own exchange.
#include "credentials/credentials.h"

namespace tmpdump::credentials {

Provider::Provider(const config::Options& options, net::Network& network)
    : Provider(
          options,
          [&network](const net::Origin& origin, const net::Request& request, std::size_t max_body,
                     std::chrono::milliseconds total) {
            return network.exchange(origin, request, max_body, total);
          },
          &std::chrono::system_clock::now) {}

} // namespace tmpdump::credentials
