// SPDX-License-Identifier: Apache-2.0
#include "zip/extra_field.h"

#include "zip/records.h"

namespace tmpdump::zip {

result<ExtraItems> read_extra(Bytes extra) {
  ExtraItems items;
  while (extra.size() >= 4) {
    const std::uint16_t id = load_le16(extra, 0);
    const std::size_t length = load_le16(extra, 2);
    extra = extra.subspan(4);
    if (length > extra.size()) return bad_archive("an extra field is longer than the room for it");
    std::optional<Bytes>* item = nullptr;
    if (id == extra_zip64) item = &items.zip64;
    if (id == extra_unicode_path) item = &items.unicode_path;
    if (id == extra_segments) item = &items.segments;
    if (item != nullptr) {
      if (*item) return bad_archive("the same extra field occurs twice");
      *item = extra.first(length);
    }
    extra = extra.subspan(length);
  }
  return items;
}

result<void> apply_zip64(const std::optional<Bytes>& item, std::uint64_t* size,
                         std::uint64_t* compressed_size, std::uint64_t* local_header_offset,
                         std::uint32_t* disk_start) {
  Bytes rest = item.value_or(Bytes());
  for (std::uint64_t* value : {size, compressed_size, local_header_offset}) {
    if (value == nullptr || *value != saturated32) continue;
    if (rest.size() < 8) return bad_archive("a zip64 value is missing");
    *value = load_le64(rest, 0);
    rest = rest.subspan(8);
  }
  if (disk_start != nullptr && *disk_start == saturated16) {
    if (rest.size() < 4) return bad_archive("a zip64 value is missing");
    *disk_start = load_le32(rest, 0);
  }
  return {};
}

} // namespace tmpdump::zip
