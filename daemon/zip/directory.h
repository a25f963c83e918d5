// SPDX-License-Identifier: Apache-2.0
// The central directory of a zip file, from bytes to validated entries. Pure functions; input is hostile.
// Format: PKWARE APPNOTE.TXT 6.3.10; section numbers stand at each rule.
#pragma once

#include "base/bytes.h"
#include "base/error.h"
#include "zip/segment_index.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <variant>
#include <vector>

namespace tmpdump::zip {

enum class Method : std::uint16_t { stored = 0, deflate = 8, zstd = 93 }; // APPNOTE 4.4.5
enum class Kind { file, directory, symlink };

struct Entry {
  std::string path;     // UTF-8, relative, '/'-separated, no "." or ".." or empty parts, no trailing slash
  std::string raw_name; // the name's bytes as stored: the local header must repeat them
  Kind kind = Kind::file;
  Method method = Method::stored;
  std::uint16_t flags = 0; // general purpose bit flag, APPNOTE 4.4.4
  mode_t mode = 0; // permission bits only (07777 & ~07000: setuid, setgid and sticky are dropped); 0644/0755
                   // where the archive has none
  std::uint32_t crc = 0;
  std::uint64_t compressed_size = 0;
  std::uint64_t size = 0;
  // Absolute in the file (a self-extractor's stub is already added). The entry's header, data and data
  // descriptor lie in [local_header_offset, region_end), and regions do not overlap.
  std::uint64_t local_header_offset = 0;
  std::uint64_t region_end = 0;
  // Packed: the data are segments that decode independently of each other.
  std::optional<SegmentIndex> segments;
};

// Where the central directory is, from the end records (4.3.14 to 4.3.16).
struct DirectoryLocation {
  std::uint64_t offset = 0; // absolute
  std::uint64_t size = 0;
  std::uint64_t entry_count = 0;
  std::uint64_t stub_size = 0; // bytes before the archive proper; offsets in the file are relative to it
};

// The tail does not reach far enough back: bytes from `offset` to the end of the file are needed.
struct NeedMore {
  std::uint64_t offset = 0;
};

// The longest possible end records: zip64 end record, its locator, the end record, and a comment. A tail of
// at least this many bytes (or the whole file) is never answered with NeedMore.
inline constexpr std::size_t max_end_records_size = 56 + 20 + 22 + 65535;

// `tail` is the file's last tail.size() bytes of `file_size`. The answer, once it is one, does not depend on
// how long the tail is.
// Refuses a file in which readers find different archives, or something behind the end record
// (docs/hostile-archives.md says why).
result<std::variant<DirectoryLocation, NeedMore>> locate_directory(Bytes tail, std::uint64_t file_size);

struct Limits {
  std::uint64_t max_entries = 200'000;
  std::uint64_t max_directory_size = 64U << 20U; // bytes of central directory; 10,000 entries need about 1 MB
  std::uint64_t max_size = UINT64_MAX;           // sum of uncompressed sizes, bytes
};

struct Directory {
  std::vector<Entry> entries; // in the order of the central directory
  std::uint64_t size = 0;     // sum of uncompressed sizes of files
};

// To be asked before the directory is fetched: its size comes from outside. parse_directory asks again.
result<void> check_limits(const DirectoryLocation& location, const Limits& limits);

// `bytes` is exactly [location.offset, location.offset + location.size). Refuses, naming the entry:
// everything that has no one meaning (absolute or '..' paths, NUL, duplicates, file/directory clashes,
// devices, encryption, unknown methods, overlapping entries, sizes or counts that lie, multi-disk archives,
// more than the limits).
result<Directory> parse_directory(Bytes bytes, const DirectoryLocation& location, std::uint64_t file_size,
                                  const Limits& limits);

// Local file header (4.3.7). The fixed part tells how long the whole is.
inline constexpr std::size_t local_header_fixed_size = 30;
result<std::size_t> local_header_size(Bytes fixed_part, const Entry& entry);
// `header` is the whole local header; it must agree with the directory in name, method, flags, and, unless a
// data descriptor follows, in CRC and sizes (zip64 extra field included).
result<void> check_local_header(Bytes header, const Entry& entry);
// Where the data must end, given the local header's length; checks that it stays inside the region.
result<std::uint64_t> data_end(const Entry& entry, std::size_t local_header_length);
// With flag bit 3: the data descriptor (4.3.9; with or without signature, 32 or 64 bit) in the bytes between
// the data's end and the region's end must agree with the directory.
result<void> check_data_descriptor(Bytes after_data, const Entry& entry);

// A symlink's target as stored (its data): must be relative, without NUL, and, resolved against the link's
// own place without touching the file system, must not leave the archive's root.
result<void> check_symlink_target(const Entry& entry, std::string_view target);
inline constexpr std::uint64_t max_symlink_target = 4095; // PATH_MAX - 1

} // namespace tmpdump::zip
