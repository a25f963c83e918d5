// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "net/stream.h"

namespace tmpdump::net {

// HTTP/1.1 (RFC 9112) on a stream that is connected and secured.
std::unique_ptr<Connection> make_http_connection(std::shared_ptr<Stream> stream, Origin origin,
                                                 std::string user_agent, const ConnectionTimes& times);

} // namespace tmpdump::net
