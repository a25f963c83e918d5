// SPDX-License-Identifier: Apache-2.0
// The extra field of a header: items of id, length, data (APPNOTE 4.5.1).
#pragma once

#include "base/bytes.h"
#include "base/error.h"
#include "zip/segment_index.h"

#include <cstdint>
#include <optional>

namespace tmpdump::zip {

inline constexpr std::uint16_t extra_zip64 = 0x0001;        // 4.5.3
inline constexpr std::uint16_t extra_unicode_path = 0x7075; // 4.6.9, Info-ZIP

// The items that change what an entry means.
struct ExtraItems {
  std::optional<Bytes> zip64;
  std::optional<Bytes> unicode_path;
  std::optional<Bytes> segments; // ours, proto/packed.md; of central headers
};

// Fails when an item reaches past the end or one of ours occurs twice. Fewer than four bytes after the last
// item are skipped: aligning tools pad so. The message does not name the entry.
result<ExtraItems> read_extra(Bytes extra);

// Replaces those of the values that are saturated by the zip64 item's, which are stored in this order and
// only for saturated header fields (4.5.3). Null: the header has no such field. Fails when one is missing.
result<void> apply_zip64(const std::optional<Bytes>& item, std::uint64_t* size,
                         std::uint64_t* compressed_size, std::uint64_t* local_header_offset,
                         std::uint32_t* disk_start);

} // namespace tmpdump::zip
