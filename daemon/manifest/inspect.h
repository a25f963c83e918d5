// SPDX-License-Identifier: Apache-2.0
// What the manifest wants to know of a file that is at its place.
#pragma once

#include "base/error.h"
#include "manifest/listing.h"

#include <cstdint>
#include <string>
#include <vector>

namespace tmpdump::manifest {

struct Facts {
  std::int64_t mtime_ns = 0;
  std::uint64_t inode = 0;
  std::vector<std::string>
      needed; // DT_NEEDED names; a damaged ELF file needs nothing: it cannot be loaded anyway
  std::string link_target;
};

// Looks at DEST/entry.path: it must be of the entry's kind and, for a file, size. Costs about 10 µs for a
// library.
result<Facts> inspect(int destination, const ListedEntry& entry);

} // namespace tmpdump::manifest
