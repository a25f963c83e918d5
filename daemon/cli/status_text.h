// SPDX-License-Identifier: Apache-2.0
// A manifest for people. Pure; every name goes through printable().
#pragma once

#include "cli/snapshot.h"

#include <string>

namespace tmpdump::cli {

// What happened as a whole: "state   listed (daemon is alive, pid 12)" and so on, a line each.
std::string render_summary(const Snapshot& snapshot);
// The summary and all entries in the archive's order.
std::string render_status(const Snapshot& snapshot);
// The summary and, in the rest of `rows` lines, what is interesting while it happens: entries that somebody
// waits for, then the ones that came last.
std::string render_live(const Snapshot& snapshot, unsigned rows);
// "    812.0 ms    315.2 MB  lib/libtorch.so": a file that came.
std::string render_arrival(const manifest::Status& status, const manifest::EntryStatus& entry);

std::string_view name(tmpdump_manifest_state state);
std::string_view name(tmpdump_manifest_entry_state state);
// "12.3 ms" from the daemon's start to `at_ns`, "-" when that is 0.
std::string format_since(const manifest::Status& status, std::uint64_t at_ns);

} // namespace tmpdump::cli
