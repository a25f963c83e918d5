// SPDX-License-Identifier: Apache-2.0
#include "zip/conflicts.h"

#include "zip/records.h"

#include <algorithm>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

namespace tmpdump::zip {
namespace {

// Entry numbers, so that sorting does not move the entries themselves.
std::vector<std::size_t> numbers(std::size_t count) {
  std::vector<std::size_t> all(count);
  std::iota(all.begin(), all.end(), std::size_t{0});
  return all;
}

// The shortest and the longest distance from the local header to the end of the data descriptor: how long the
// local extra field is, and which form the descriptor has, is known only when they are read.
bool region_bounds(const Entry& entry, std::uint64_t& earliest, std::uint64_t& latest) {
  std::uint64_t end = 0;
  if (!checked_add(entry.local_header_offset, local::fixed_size + entry.raw_name.size(), end) ||
      !checked_add(end, entry.compressed_size, end)) {
    return false;
  }
  return checked_add(end, min_descriptor_size(entry), earliest) &&
         checked_add(end, saturated16 + descriptor::max_size, latest);
}

} // namespace

std::size_t min_descriptor_size(const Entry& entry) {
  const bool follows = (entry.flags & flag::data_descriptor) != 0 && entry.kind != Kind::directory;
  return follows ? descriptor::min_size : 0;
}

result<void> assign_regions(std::span<Entry> entries, std::uint64_t directory_offset) {
  std::vector<std::size_t> order = numbers(entries.size());
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return entries[a].local_header_offset < entries[b].local_header_offset;
  });
  for (std::size_t i = 0; i < order.size(); ++i) {
    Entry& entry = entries[order[i]];
    const bool is_last = i + 1 == order.size();
    const std::uint64_t limit = is_last ? directory_offset : entries[order[i + 1]].local_header_offset;
    std::uint64_t earliest = 0;
    std::uint64_t latest = 0;
    if (!region_bounds(entry, earliest, latest)) {
      return bad_entry(entry.path, "its offset or size lies outside the archive");
    }
    if (earliest > limit) {
      if (is_last) return bad_entry(entry.path, "its data would reach into the central directory");
      return bad_entry(entry.path, "it overlaps entry \"" + printable(entries[order[i + 1]].path) + "\"");
    }
    entry.region_end = std::min(limit, latest);
  }
  return {};
}

result<void> check_paths(std::span<const Entry> entries) {
  // With '/' as the lowest byte, what lies below a path sorts right after it, so that looking at neighbours
  // is enough; NUL is free to stand for it.
  std::size_t total = 0;
  for (const Entry& entry : entries)
    total += entry.path.size();
  std::string arena;
  arena.reserve(total);
  for (const Entry& entry : entries)
    arena += entry.path;
  std::replace(arena.begin(), arena.end(), '/', '\0');

  struct Key {
    std::string_view path;
    const Entry* entry;
  };
  std::vector<Key> keys;
  keys.reserve(entries.size());
  std::size_t at = 0;
  for (const Entry& entry : entries) {
    keys.push_back({std::string_view(arena).substr(at, entry.path.size()), &entry});
    at += entry.path.size();
  }
  std::sort(keys.begin(), keys.end(), [](const Key& a, const Key& b) { return a.path < b.path; });

  for (std::size_t i = 1; i < keys.size(); ++i) {
    const Key& upper = keys[i - 1];
    const Key& lower = keys[i];
    if (upper.path == lower.path) return bad_entry(lower.entry->path, "the path occurs twice");
    const bool below = lower.path.size() > upper.path.size() &&
                       lower.path.substr(0, upper.path.size()) == upper.path &&
                       lower.path[upper.path.size()] == '\0';
    if (below && upper.entry->kind != Kind::directory) {
      return bad_entry(lower.entry->path, "it lies below \"" + printable(upper.entry->path) +
                                              "\", which is not a directory in the same archive");
    }
  }
  return {};
}

} // namespace tmpdump::zip
