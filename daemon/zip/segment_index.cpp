// SPDX-License-Identifier: Apache-2.0
#include "zip/segment_index.h"

#include "zip/records.h"

namespace tmpdump::zip {

namespace {

constexpr std::size_t fixed_size = 12;
constexpr std::uint32_t local_header_fixed = 30; // APPNOTE 4.3.7

Failure bad_index(const std::string& what) {
  return bad_archive("its index of segments " + what + "; pack the archive again");
}

} // namespace

result<std::optional<SegmentIndex>> parse_segment_index(Bytes item, std::uint64_t size,
                                                        std::uint64_t compressed_size) {
  if (item.empty()) return bad_index("is empty");
  if (std::to_integer<std::uint8_t>(item[0]) != segment_index_version) return std::nullopt;
  if (item.size() < fixed_size) return bad_index("is cut short");
  if (std::to_integer<std::uint8_t>(item[1]) != 0) return bad_index("uses a reserved field");
  SegmentIndex index;
  index.header_bytes = load_le16(item, 2);
  index.segment_bytes = load_le32(item, 4);
  const std::uint64_t count = load_le32(item, 8);
  if (index.header_bytes < local_header_fixed) return bad_index("has a local header that is too short");
  if (index.segment_bytes < min_segment_bytes || index.segment_bytes > max_segment_bytes) {
    return bad_index("has segments of " + std::to_string(index.segment_bytes) + " bytes, not 65536 to " +
                     std::to_string(max_segment_bytes));
  }
  if (count < 2 || count > max_segments) {
    return bad_index("counts " + std::to_string(count) + " segments, not 2 to " +
                     std::to_string(max_segments));
  }
  if (item.size() != fixed_size + 4 * count) return bad_index("has another length than its count says");
  if (size / index.segment_bytes + (size % index.segment_bytes != 0 ? 1 : 0) != count) {
    return bad_index("does not cover the entry's " + std::to_string(size) + " bytes");
  }
  std::uint64_t sum = 0; // of at most 4096 32-bit numbers: cannot overflow
  index.compressed.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t compressed = load_le32(item, fixed_size + 4 * i);
    if (compressed == 0) return bad_index("has an empty segment");
    sum += compressed;
    index.compressed.push_back(compressed);
  }
  if (sum != compressed_size) {
    return bad_index("adds up to " + std::to_string(sum) + " compressed bytes, the entry has " +
                     std::to_string(compressed_size));
  }
  return index;
}

} // namespace tmpdump::zip
