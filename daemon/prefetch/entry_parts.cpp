// SPDX-License-Identifier: Apache-2.0
#include "prefetch/entry_parts.h"

#include <algorithm>

namespace tmpdump::prefetch {

std::vector<Part> parts_of(const zip::Entry& entry) {
  if (!entry.segments) {
    Part whole;
    whole.begin = entry.local_header_offset;
    whole.end = entry.region_end;
    whole.compressed = entry.compressed_size;
    whole.size = entry.size;
    return {whole};
  }
  const auto& index = *entry.segments;
  std::vector<Part> parts;
  parts.reserve(index.compressed.size());
  std::uint64_t at = entry.local_header_offset + index.header_bytes;
  std::uint64_t offset = 0;
  for (const std::uint32_t compressed : index.compressed) {
    Part part;
    part.index = parts.size();
    part.begin = at;
    part.compressed = compressed;
    at += compressed;
    part.end = at;
    part.offset = offset;
    part.size = std::min<std::uint64_t>(index.segment_bytes, entry.size - offset);
    offset += part.size;
    part.first = part.last = false;
    parts.push_back(part);
  }
  parts.front().first = true;
  parts.front().begin = entry.local_header_offset;
  parts.back().last = true;
  parts.back().end = entry.region_end;
  return parts;
}

std::uint64_t decode_cost(const zip::Entry& entry, const Part& part) {
  return entry.method == zip::Method::stored ? part.size / 4 + 1 : part.size + 1;
}

} // namespace tmpdump::prefetch
