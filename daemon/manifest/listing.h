// SPDX-License-Identifier: Apache-2.0
// The immutable half of a manifest: what the archive holds, laid out as proto/manifest.h says.
#pragma once

#include "base/error.h"
#include "manifest.h"
#include "zip/directory.h"

#include <cstdint>
#include <span>
#include <string>
#include <sys/types.h>

namespace tmpdump::manifest {

struct ListedEntry {
  std::string path; // as it will be below the destination, in zip::Entry::path's form; unique
  zip::Kind kind = zip::Kind::file;
  mode_t mode = 0;
  std::uint64_t size = 0; // bytes uncompressed
  std::uint32_t crc = 0;

  friend bool operator==(const ListedEntry&, const ListedEntry&) = default;
};

// Places of the regions for these entries; fills the fields from file_size to needed_capacity. Fails with
// Errc::no_space where TMPDUMP_MANIFEST_MAX_SIZE does not hold them.
result<void> plan_listing(std::span<const ListedEntry> entries, tmpdump_manifest_header& header);

// Writes entries, strings and slots into `file` (header.file_size bytes, zeros) and sets header.listing_hash.
void write_listing(std::span<const ListedEntry> entries, tmpdump_manifest_header& header, void* file);

} // namespace tmpdump::manifest
