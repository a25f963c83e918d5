// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace tmpdump::prefetch {

// What of others is linked in, for --version: "Boost 1.81.0, OpenSSL 3.0.15, ...". Of the libraries that say
// it, the version that was linked, else the header's.
std::string dependency_versions();

} // namespace tmpdump::prefetch
