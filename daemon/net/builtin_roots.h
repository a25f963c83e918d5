// SPDX-License-Identifier: Apache-2.0
// The PEM texts of daemon/net/roots, embedded at build time.
#pragma once

#include <span>
#include <string_view>

namespace tmpdump::net {

std::span<const std::string_view> builtin_roots();

} // namespace tmpdump::net
