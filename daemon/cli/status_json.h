// SPDX-License-Identifier: Apache-2.0
// A manifest for scripts: one JSON object. Keys never change their meaning; new ones may come.
#pragma once

#include "cli/snapshot.h"

#include <string>

namespace tmpdump::cli {

// Without a line end. Times are integers: *_after_ns count from the daemon's start, null where it did not
// happen. A name that is not UTF-8, or that would act on a terminal, is in printable()'s form and its entry
// has "path_escaped": true; all others are exact. Pure.
std::string render_json(const Snapshot& snapshot);

} // namespace tmpdump::cli
