// SPDX-License-Identifier: Apache-2.0
// The index of a packed entry's segments: where each lies, and what it decodes to. Format: proto/packed.md.
#pragma once

#include "base/bytes.h"
#include "base/error.h"

#include <cstdint>
#include <optional>
#include <vector>

namespace tmpdump::zip {

inline constexpr std::uint16_t extra_segments = 0x5444; // "DT"

struct SegmentIndex {
  std::uint32_t header_bytes = 0;        // of the local header, name and extra field included
  std::uint32_t segment_bytes = 0;       // uncompressed, of every segment but the last
  std::vector<std::uint32_t> compressed; // bytes of each segment
};

inline constexpr std::uint8_t segment_index_version = 1;
inline constexpr std::uint32_t min_segment_bytes = 64U << 10U;
inline constexpr std::uint32_t max_segment_bytes = 1U << 30U;
inline constexpr std::uint32_t max_segments = 4096;

// `item` is the extra field's data; `size` and `compressed_size` are the entry's. Nothing for a version that
// this reader does not know: the entry is then read as one stream. Fails when the index contradicts itself or
// the sizes. The message does not name the entry.
result<std::optional<SegmentIndex>> parse_segment_index(Bytes item, std::uint64_t size,
                                                        std::uint64_t compressed_size);

} // namespace tmpdump::zip
