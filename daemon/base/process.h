// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace tmpdump {

// Highest resident set of this process in bytes, 0 where /proc does not tell. Not getrusage: its figure
// survives exec, and so is the parent's.
std::uint64_t peak_memory();

} // namespace tmpdump
