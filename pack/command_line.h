// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace tmpdump::pack {

// Adds `pack`, `ls`, `verify`, `refine`, `strip-jar` to the program. The one that is parsed sets `chosen`,
// which runs it and returns the exit status.
void add_commands(CLI::App& app, std::function<int()>& chosen);

} // namespace tmpdump::pack
