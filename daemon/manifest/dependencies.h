// SPDX-License-Identifier: Apache-2.0
// From the names that a library or a link carries to the archive's entries that they mean. Pure, no I/O.
#pragma once

#include "manifest/listing.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace tmpdump::manifest {

// Immutable after construction, so usable from any thread; refers to `entries`, which must outlive it.
class Dependencies {
public:
  explicit Dependencies(std::span<const ListedEntry> entries);

  // For DT_NEEDED names of `entry`: the entry of that file name beside it, else every entry of that file
  // name, since the loader's search path is the runtime's affair. Names that the archive does not hold are
  // the system's.
  [[nodiscard]] std::vector<std::uint32_t> of_library(std::uint32_t entry,
                                                      std::span<const std::string> needed) const;
  // For a symbolic link: its target; nothing when that is not in the archive. nullopt: the target lies behind
  // another link, so it cannot be told by name, or is a directory without an entry.
  [[nodiscard]] std::optional<std::vector<std::uint32_t>> of_link(std::uint32_t entry,
                                                                  std::string_view target) const;

private:
  std::span<const ListedEntry> entries_;
  std::unordered_map<std::string_view, std::uint32_t> by_path_;
  std::unordered_multimap<std::string_view, std::uint32_t> by_file_name_; // files and links
  std::unordered_set<std::string_view> parents_; // directories of entries, also those without one; "": DEST
};

} // namespace tmpdump::manifest
