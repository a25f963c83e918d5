// SPDX-License-Identifier: Apache-2.0
// `tmpdump pack --from-log`: what a debug log of JavaCPP means for an archive.
#pragma once

#include "pack/debug_log.h"
#include "pack/libraries.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace tmpdump::pack {

// Where the log's libraries can be taken from: the jars that it names and, for those that JavaCPP found in
// its cache from a run before, the cache's folders. As SourceOptions::sources.
std::vector<std::string> sources_of(const DebugLog& log);

// Leaves of the items exactly the libraries that the log shows, and what these need; the rest, and what is
// wanted but not there, is told in `collected`. Returns the names under which some are loaded, and the file
// names that they have.
std::map<std::string, std::string> keep_loaded(Collected& collected, const Libraries& libraries,
                                               const DebugLog& log);

// The items' paths in the order of loading, before each library what it needs.
std::vector<std::string> load_order(const std::vector<Item>& items, const Libraries& libraries,
                                    const DebugLog& log);

// Each class with the file names of the libraries that its loading brought, in the log's order.
using LoadedBy = std::vector<std::pair<std::string, std::vector<std::string>>>;
LoadedBy libraries_by_class(const DebugLog& log);

} // namespace tmpdump::pack
