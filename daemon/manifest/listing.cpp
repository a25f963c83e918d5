// SPDX-License-Identifier: Apache-2.0
#include "manifest/listing.h"

#include "manifest_view.h"

#include <algorithm>
#include <bit>

namespace tmpdump::manifest {

namespace {

std::uint64_t aligned(std::uint64_t offset, std::uint64_t to) {
  return (offset + to - 1) / to * to;
}

tmpdump_manifest_kind kind_of(zip::Kind kind) {
  switch (kind) {
  case zip::Kind::directory:
    return TMPDUMP_KIND_DIRECTORY;
  case zip::Kind::symlink:
    return TMPDUMP_KIND_SYMLINK;
  case zip::Kind::file:
    break;
  }
  return TMPDUMP_KIND_FILE;
}

} // namespace

result<void> plan_listing(std::span<const ListedEntry> entries, tmpdump_manifest_header& header) {
  std::uint64_t strings = 0;
  for (const ListedEntry& entry : entries)
    strings += entry.path.size() + 1;
  constexpr std::uint64_t max_entries = TMPDUMP_MANIFEST_MAX_SIZE / 256; // the sums below cannot overflow
  if (entries.size() > max_entries || strings > TMPDUMP_MANIFEST_MAX_SIZE) {
    return Failure{Errc::no_space, "the archive holds too many names for the manifest"};
  }
  const std::uint64_t count = entries.size();
  const std::uint64_t slots = std::bit_ceil(std::max<std::uint64_t>(2 * count, 2)); // at most half full
  // A real library names 2 to 10 libraries of its archive. Where that is not enough, entries are marked as
  // needing everything: a wait that is longer than it must be, never one that is too short.
  const std::uint64_t needed = std::max<std::uint64_t>(8 * count, 1024);
  std::uint64_t at = TMPDUMP_MANIFEST_HEADER_SIZE;
  header.entry_count = static_cast<std::uint32_t>(count);
  header.slot_count = static_cast<std::uint32_t>(slots);
  header.needed_capacity = static_cast<std::uint32_t>(needed);
  header.strings_size = strings;
  header.progress_offset = at;
  at += count * sizeof(tmpdump_manifest_progress);
  header.entries_offset = at;
  at += count * sizeof(tmpdump_manifest_entry);
  header.slots_offset = at;
  at += slots * sizeof(tmpdump_manifest_slot);
  header.needed_offset = at;
  at = aligned(at + needed * sizeof(std::uint32_t), 8);
  header.strings_offset = at;
  at += strings;
  header.file_size = aligned(at, TMPDUMP_MANIFEST_HEADER_SIZE);
  if (header.file_size > TMPDUMP_MANIFEST_MAX_SIZE) {
    return Failure{Errc::no_space, "the archive holds too many names for the manifest"};
  }
  return {};
}

void write_listing(std::span<const ListedEntry> entries, tmpdump_manifest_header& header, void* file) {
  auto* bytes = static_cast<unsigned char*>(file);
  auto* table = reinterpret_cast<tmpdump_manifest_entry*>(bytes + header.entries_offset);
  auto* slots = reinterpret_cast<tmpdump_manifest_slot*>(bytes + header.slots_offset);
  unsigned char* strings = bytes + header.strings_offset;
  std::uint32_t string_at = 0;
  for (std::uint32_t i = 0; i < entries.size(); ++i) {
    const ListedEntry& entry = entries[i];
    const auto size = static_cast<std::uint32_t>(entry.path.size());
    table[i] = {.size = entry.size,
                .crc32 = entry.crc,
                .kind = kind_of(entry.kind),
                .path_offset = string_at,
                .path_size = size,
                .mode = entry.mode,
                .reserved = 0};
    std::copy_n(entry.path.data(), size, strings + string_at);
    string_at += size + 1;
    const std::uint64_t hash = tmpdump_manifest_hash(0, entry.path.data(), size);
    std::uint32_t slot = static_cast<std::uint32_t>(hash) & (header.slot_count - 1);
    while (slots[slot].entry != 0)
      slot = (slot + 1) & (header.slot_count - 1);
    slots[slot] = {.tag = static_cast<std::uint32_t>(hash >> 32U), .entry = i + 1};
  }
  tmpdump_view view{};
  view.entry_count = header.entry_count;
  view.slot_count = header.slot_count;
  view.strings_size = header.strings_size;
  view.entries = table;
  view.slots = slots;
  view.strings = reinterpret_cast<const char*>(strings);
  header.listing_hash = tmpdump_manifest_listing_hash(&view, &header);
}

} // namespace tmpdump::manifest
