// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "pack/archive_file.h"
#include "pack/entry_reader.h"

#include <algorithm>

namespace tmpdump::pack {

// Bytes [offset, offset + size) of the archive as they are, into `sink`.
inline result<void> copy_range(const ArchiveFile& archive, std::uint64_t offset, std::uint64_t size,
                               const Sink& sink) {
  constexpr std::uint64_t step = std::uint64_t{1} << 20U;
  std::vector<std::byte> buffer(static_cast<std::size_t>(std::min(size, step)));
  while (size > 0) {
    const auto now = MutableBytes(buffer).first(static_cast<std::size_t>(std::min(size, step)));
    TMPDUMP_CHECK(archive.read_at(offset, now));
    TMPDUMP_CHECK(sink(now));
    offset += now.size();
    size -= now.size();
  }
  return {};
}

} // namespace tmpdump::pack
