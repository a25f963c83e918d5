// SPDX-License-Identifier: Apache-2.0
// Items into an archive.
#pragma once

#include "pack/item.h"
#include "pack/output_file.h"
#include "prefetch/prefetch.h"

#include <cstdint>
#include <functional>
#include <vector>

namespace tmpdump::pack {

struct PackSettings {
  zip::Method method = zip::Method::zstd; // or deflate
  int level = 19;
  unsigned threads = 0;            // 0: one a core that we may run on
  std::uint64_t segment_bytes = 0; // 0: chosen by method and size
};

// Uncompressed bytes of each segment but the last of a file of `size` bytes; 0: it is not cut. Pure.
std::uint32_t segment_bytes_for(const PackSettings& settings, std::uint64_t size);

struct PackedEntry {
  std::uint64_t packed = 0; // bytes
  std::size_t segments = 1;
  zip::Method method = zip::Method::stored;
};

struct Packing {
  std::vector<PackedEntry> entries; // as the items
  std::uint64_t size = 0, packed = 0;
};

using Tick = std::function<result<void>()>;

// Writes the items in their order, compressing on all cores; memory does not depend on their sizes. `tick` is
// called at least ten times a second; its failure ends the run. The archive is checked by the reader's own
// rules before this returns.
result<Packing> write_archive(const std::vector<Item>& items, const PackSettings& settings, OutputFile& out,
                              prefetch::Progress& progress, const Tick& tick);

} // namespace tmpdump::pack
