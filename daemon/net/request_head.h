// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "net/network.h"

namespace tmpdump::net {

// The request as it goes on the wire, its body included. Errc::usage when a part of it would end a line, or
// frame the message in another way than we do (RFC 9112 section 11): the message names the part, never its
// value.
result<std::string> serialize(const Request& request, const Origin& origin, std::string_view user_agent);

} // namespace tmpdump::net
