// SPDX-License-Identifier: Apache-2.0
// One entry's content, with every check that the reader in the function makes.
#pragma once

#include "pack/archive_file.h"

#include <functional>
#include <optional>

namespace tmpdump::pack {

// The index of proto/packed.md.
struct SegmentIndex {
  std::uint16_t header_bytes = 0;
  std::uint32_t segment_bytes = 0;
  std::vector<std::uint32_t> packed_sizes;
};

// From the extra field of the entry's central header. None: there is no index, or one of a version that is
// ignored.
result<std::optional<SegmentIndex>> read_segment_index(Bytes central_extra, const zip::Entry& entry);

// An entry with what stands beside it in the central directory.
struct FullEntry {
  zip::Entry entry;
  CentralHeader header;
  std::optional<SegmentIndex> index;
};

// Everything that the archive holds, in the directory's order, or the first reason to refuse it.
result<std::vector<FullEntry>> read_entries(const ArchiveFile& archive);

// The local header's length, after checking it.
result<std::size_t> check_header(const ArchiveFile& archive, const FullEntry& full);

using Sink = std::function<result<void>(Bytes)>;
// Decodes the content into `sink`, piece by piece; for an entry with an index, each segment from its own
// bytes alone.
result<void> read_content(const ArchiveFile& archive, const FullEntry& full, const Sink& sink);
// A small entry's content, at most `limit` bytes: a symbolic link's target.
result<std::string> read_text(const ArchiveFile& archive, const FullEntry& full, std::size_t limit);

} // namespace tmpdump::pack
