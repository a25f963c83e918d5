// SPDX-License-Identifier: Apache-2.0
// How an entry is cut into parts that decode independently: its segments, or all of it. Pure.
#pragma once

#include "zip/directory.h"

#include <cstdint>
#include <vector>

namespace tmpdump::prefetch {

struct Part {
  // Bytes [begin, end) of the archive; those of an entry's parts touch. The first has the local header in
  // front of its data, the last has the data descriptor, if there is one, behind it.
  std::uint64_t begin = 0, end = 0;
  std::uint64_t compressed = 0;       // bytes of data in [begin, end)
  std::uint64_t offset = 0, size = 0; // of what they decode to, in the file
  std::size_t index = 0;              // among the entry's parts
  bool first = true, last = true;
};

// At least one. With an index of segments, the entry's data fit its region: parse_directory has checked.
std::vector<Part> parts_of(const zip::Entry& entry);

// What decoding costs, in bytes that come out; a stored byte costs about a quarter of an inflated one (CRC
// and write alone). Never 0.
std::uint64_t decode_cost(const zip::Entry& entry, const Part& part);

} // namespace tmpdump::prefetch
