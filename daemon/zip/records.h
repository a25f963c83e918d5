// SPDX-License-Identifier: Apache-2.0
// Where the fields of zip's records are, in bytes from the record's start, and what their bits mean (APPNOTE
// 6.3.10). Private to daemon/zip; the tests' zip builder has its own copy of the layout on purpose.
#pragma once

#include "base/bytes.h"
#include "base/error.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tmpdump::zip {

struct Entry;

// Values that say "look into the zip64 record or extra field" (4.4.1.4).
inline constexpr std::uint16_t saturated16 = 0xFFFF;
inline constexpr std::uint32_t saturated32 = 0xFFFFFFFF;

namespace flag { // general purpose bits, 4.4.4
inline constexpr std::uint16_t encrypted = 1U << 0U;
inline constexpr std::uint16_t data_descriptor = 1U << 3U;
inline constexpr std::uint16_t patch_data = 1U << 5U;
inline constexpr std::uint16_t strong_encryption = 1U << 6U;
inline constexpr std::uint16_t utf8 = 1U << 11U;
inline constexpr std::uint16_t masked_header = 1U << 13U;
} // namespace flag

namespace local { // 4.3.7
inline constexpr std::uint32_t signature = 0x04034b50;
inline constexpr std::size_t flags = 6, method = 8, crc = 14, compressed_size = 18, size = 22,
                             name_length = 26, extra_length = 28, fixed_size = 30;
} // namespace local

namespace central { // 4.3.12
inline constexpr std::uint32_t signature = 0x02014b50;
inline constexpr std::size_t made_by_host = 5, needed_version = 6, flags = 8, method = 10, crc = 16,
                             compressed_size = 20, size = 24, name_length = 28, extra_length = 30,
                             comment_length = 32, disk_start = 34, external_attributes = 38,
                             local_header_offset = 42, fixed_size = 46;
} // namespace central

namespace digital_signature { // 4.3.13: may follow the last central header
inline constexpr std::uint32_t signature = 0x05054b50;
inline constexpr std::size_t data_length = 4, fixed_size = 6;
} // namespace digital_signature

namespace end { // 4.3.16
inline constexpr std::uint32_t signature = 0x06054b50;
inline constexpr std::size_t disk = 4, directory_disk = 6, entries_on_disk = 8, entries = 10,
                             directory_size = 12, directory_offset = 16, comment_length = 20, fixed_size = 22;
} // namespace end

namespace end64 { // 4.3.14, version 1, without an extensible data sector
inline constexpr std::uint32_t signature = 0x06064b50;
inline constexpr std::size_t remaining_size = 4, disk = 16, directory_disk = 20, entries_on_disk = 24,
                             entries = 32, directory_size = 40, directory_offset = 48, fixed_size = 56;
} // namespace end64

namespace locator64 { // 4.3.15
inline constexpr std::uint32_t signature = 0x07064b50;
inline constexpr std::size_t disk = 4, end64_offset = 8, disks = 16, fixed_size = 20;
} // namespace locator64

namespace descriptor { // 4.3.9: [signature] crc, compressed size, size; the sizes are 4 or 8 bytes each
inline constexpr std::uint32_t signature = 0x08074b50;
inline constexpr std::size_t min_size = 12, max_size = 24;
} // namespace descriptor

// Bytes that must stand between the data's end and the region's end. Some writers set bit 3 for directories
// and then write no descriptor; nothing is ever read for a directory, so none is asked for.
std::size_t min_descriptor_size(const Entry& entry);

// entry "lib/x": WHY. The code is bad_archive.
inline Failure bad_entry(std::string_view name, std::string_view why) {
  return {Errc::bad_archive, "entry \"" + printable(name) + "\": " + std::string(why)};
}
inline Failure bad_archive(std::string_view why) {
  return {Errc::bad_archive, std::string(why)};
}

} // namespace tmpdump::zip
