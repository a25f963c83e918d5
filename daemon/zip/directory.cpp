// SPDX-License-Identifier: Apache-2.0
// Central directory headers (4.3.12), one by one; what concerns several entries is in conflicts.cpp.
#include "zip/directory.h"

#include "zip/conflicts.h"
#include "zip/extra_field.h"
#include "zip/name.h"
#include "zip/records.h"

#include <algorithm>
#include <sys/stat.h>

namespace tmpdump::zip {
namespace {

// One central header, cut into its parts.
struct Header {
  Bytes fixed;
  std::string_view name;
  Bytes extra;
  std::size_t size = 0; // of the whole
};

// The numbers of a header after zip64.
struct Numbers {
  std::uint64_t size = 0;
  std::uint64_t compressed_size = 0;
  std::uint64_t local_header_offset = 0; // relative to the archive proper
};

result<Header> cut_header(Bytes rest) {
  if (rest.size() < central::fixed_size || load_le32(rest, 0) != central::signature) {
    return bad_archive("the central directory ends before its last entry, or is damaged");
  }
  const std::size_t name = load_le16(rest, central::name_length);
  const std::size_t extra = load_le16(rest, central::extra_length);
  const std::size_t comment = load_le16(rest, central::comment_length);
  Header header;
  header.size = central::fixed_size + name + extra + comment;
  if (header.size > rest.size()) return bad_archive("the central directory is cut off within an entry");
  header.fixed = rest.first(central::fixed_size);
  header.name = text_of(rest.subspan(central::fixed_size, name));
  header.extra = rest.subspan(central::fixed_size + name, extra);
  return header;
}

result<Numbers> read_numbers(const Header& header, const ExtraItems& items) {
  Numbers n;
  n.size = load_le32(header.fixed, central::size);
  n.compressed_size = load_le32(header.fixed, central::compressed_size);
  n.local_header_offset = load_le32(header.fixed, central::local_header_offset);
  std::uint32_t disk_start = load_le16(header.fixed, central::disk_start);
  TMPDUMP_CHECK(apply_zip64(items.zip64, &n.size, &n.compressed_size, &n.local_header_offset, &disk_start));
  if (disk_start != 0) return bad_archive("it lies on another disk of a multi-disk archive");
  return n;
}

// The lower byte is ten times the version (4.4.3); above it some writers repeat the host.
result<void> check_version(std::uint8_t needed) {
  constexpr std::uint8_t known = 63;
  const auto text = [](std::uint8_t version) {
    return std::to_string(version / 10) + "." + std::to_string(version % 10);
  };
  if (needed <= known) return {};
  return bad_archive("it needs version " + text(needed) + " of the format to extract; known is " +
                     text(known));
}

result<void> check_flags(std::uint16_t flags) {
  if ((flags & (flag::encrypted | flag::strong_encryption | flag::masked_header)) != 0) {
    return bad_archive("it is encrypted; encryption is not supported");
  }
  if ((flags & flag::patch_data) != 0) return bad_archive("it is compressed patch data, not a file");
  return {};
}

result<Method> read_method(std::uint16_t number) {
  for (const Method known : {Method::stored, Method::deflate, Method::zstd}) {
    if (number == static_cast<std::uint16_t>(known)) return known;
  }
  return bad_archive("unknown compression method " + std::to_string(number) +
                     "; known are 0 (stored), 8 (deflate), 93 (zstd)");
}

// MS-DOS attributes.
constexpr std::uint32_t dos_volume_label = 0x08, dos_directory = 0x10;

// Sets kind and mode. `slash`: the name ends in one.
result<void> read_attributes(Entry& entry, std::uint32_t attributes, std::uint8_t made_by_host, bool slash) {
  // Upper half: st_mode on Unix (Info-ZIP); 0 from writers that know no mode.
  const auto unix_mode = is_unix(made_by_host) ? static_cast<mode_t>(attributes >> 16U) : mode_t{0};
  // Lower byte: MS-DOS attributes, which say nothing where there is a mode.
  if (!is_unix(made_by_host)) {
    if ((attributes & dos_volume_label) != 0) return bad_archive("it is a volume label, not a file");
    if (made_by_host == made_by_dos && (attributes & dos_directory) != 0 && !slash) {
      return bad_archive("its name is a file's, its attributes a directory's");
    }
  }
  bool has_permissions = unix_mode != 0;
  switch (unix_mode & static_cast<mode_t>(S_IFMT)) {
  case 0:
    break;
  case S_IFREG:
    if (slash) has_permissions = false; // a directory for all readers; these are a file's
    break;
  case S_IFDIR:
    if (!slash) return bad_archive("its name is a file's, its mode a directory's");
    break;
  case S_IFLNK:
    if (slash) return bad_archive("its name is a directory's, its mode a symbolic link's");
    entry.kind = Kind::symlink;
    break;
  default:
    return bad_archive("it is a device, FIFO, or socket; only files, directories and symbolic links are");
  }
  if (slash) entry.kind = Kind::directory;
  entry.mode = has_permissions ? unix_mode & 0777U : slash ? 0755U : 0644U;
  return {};
}

// The most bytes that one compressed byte can stand for. Deflate: a match of 258 bytes in two bits (RFC 1951,
// 3.2.5). zstd: an RLE block of 128 KiB in four bytes (RFC 8878, 3.1.1.2).
std::uint64_t max_expansion(Method method) {
  switch (method) {
  case Method::stored:
    return 1;
  case Method::deflate:
    return 1032;
  case Method::zstd:
    return 32768;
  }
  return 1;
}

result<void> check_sizes(const Entry& entry) {
  if (entry.kind == Kind::directory) {
    // Compressed nothing is fine: Java's ZipOutputStream deflates it into two bytes.
    if (entry.size != 0) return bad_archive("a directory with data");
  } else if (entry.kind == Kind::symlink) {
    if (entry.size == 0 || entry.size > max_symlink_target) {
      return bad_archive("a symbolic link's target must have 1 to 4095 bytes");
    }
  }
  if (entry.size == 0 && entry.crc != 0) return bad_archive("no data, but the CRC of some");
  if (entry.method == Method::stored && entry.size != entry.compressed_size) {
    return bad_archive("stored, but its two sizes differ");
  }
  if (entry.method != Method::stored && entry.compressed_size == 0 && entry.kind != Kind::directory) {
    return bad_archive("compressed, but there is no compressed data");
  }
  if (entry.size / max_expansion(entry.method) > entry.compressed_size) {
    return bad_archive("its data cannot expand to the size that it claims");
  }
  return {};
}

result<void> read_segments(Entry& entry, Bytes item) {
  if (entry.kind != Kind::file || entry.method == Method::stored) {
    return bad_archive("an index of segments belongs to a compressed file; pack the archive again");
  }
  TMPDUMP_TRY(entry.segments, parse_segment_index(item, entry.size, entry.compressed_size));
  return {};
}

result<Entry> read_entry(const Header& header, std::uint64_t stub_size) {
  const Bytes fixed = header.fixed;
  Entry entry;
  entry.raw_name = header.name;
  entry.flags = load_le16(fixed, central::flags);
  entry.crc = load_le32(fixed, central::crc);
  const auto made_by_host = std::to_integer<std::uint8_t>(fixed[central::made_by_host]);

  TMPDUMP_CHECK(check_version(std::to_integer<std::uint8_t>(fixed[central::needed_version])));
  TMPDUMP_CHECK(check_flags(entry.flags));
  TMPDUMP_TRY(entry.method, read_method(load_le16(fixed, central::method)));
  TMPDUMP_TRY(const ExtraItems items, read_extra(header.extra));
  TMPDUMP_TRY(const Numbers n, read_numbers(header, items));
  entry.size = n.size;
  entry.compressed_size = n.compressed_size;
  if (!checked_add(n.local_header_offset, stub_size, entry.local_header_offset)) {
    return bad_archive("its offset lies outside the archive");
  }
  TMPDUMP_TRY(const std::string name,
              decode_name(header.name, entry.flags, made_by_host, items.unicode_path));
  TMPDUMP_TRY(CleanPath clean, clean_path(name, made_by_host));
  TMPDUMP_CHECK(read_attributes(entry, load_le32(fixed, central::external_attributes), made_by_host,
                                clean.is_directory));
  TMPDUMP_CHECK(check_sizes(entry));
  if (items.segments) TMPDUMP_CHECK(read_segments(entry, *items.segments));
  entry.path = std::move(clean.path);
  return entry;
}

// After the last header: nothing, or a digital signature (4.3.13), which nobody can check any more.
result<void> check_rest(Bytes rest) {
  if (rest.empty()) return {};
  if (rest.size() >= digital_signature::fixed_size && load_le32(rest, 0) == digital_signature::signature &&
      load_le16(rest, digital_signature::data_length) == rest.size() - digital_signature::fixed_size) {
    return {};
  }
  return bad_archive("the central directory holds more than the entries that its end record counts");
}

result<void> check_location(Bytes bytes, const DirectoryLocation& location, std::uint64_t file_size) {
  std::uint64_t end = 0;
  if (bytes.size() != location.size || !checked_add(location.offset, location.size, end) || end > file_size ||
      location.stub_size > location.offset) {
    return bad_archive("the central directory does not lie where its end record says");
  }
  if (location.entry_count > bytes.size() / central::fixed_size) {
    return bad_archive("the end record counts more entries than the central directory can hold");
  }
  return {};
}

} // namespace

result<void> check_limits(const DirectoryLocation& location, const Limits& limits) {
  if (location.entry_count > limits.max_entries) {
    return bad_archive("the archive has " + std::to_string(location.entry_count) +
                       " entries, more than the " + std::to_string(limits.max_entries) + " that are allowed");
  }
  if (location.size > limits.max_directory_size) {
    return bad_archive("the central directory has " + std::to_string(location.size) +
                       " bytes, more than the " + std::to_string(limits.max_directory_size) +
                       " that are allowed");
  }
  return {};
}

result<Directory> parse_directory(Bytes bytes, const DirectoryLocation& location, std::uint64_t file_size,
                                  const Limits& limits) {
  TMPDUMP_CHECK(check_limits(location, limits));
  TMPDUMP_CHECK(check_location(bytes, location, file_size));
  Directory directory;
  directory.entries.reserve(location.entry_count);
  Bytes rest = bytes;
  for (std::uint64_t i = 0; i < location.entry_count; ++i) {
    TMPDUMP_TRY(const Header header, cut_header(rest));
    auto entry = read_entry(header, location.stub_size);
    if (entry.has_error()) return bad_entry(header.name, entry.error().message);
    if (entry->kind == Kind::file &&
        (!checked_add(directory.size, entry->size, directory.size) || directory.size > limits.max_size)) {
      return Failure{Errc::no_space, "entry \"" + printable(entry->path) +
                                         "\": with it the archive unpacks to more than the allowed " +
                                         std::to_string(limits.max_size) + " bytes"};
    }
    directory.entries.push_back(std::move(*entry));
    rest = rest.subspan(header.size);
  }
  TMPDUMP_CHECK(check_rest(rest));
  TMPDUMP_CHECK(assign_regions(directory.entries, location.offset));
  for (const Entry& entry : directory.entries) {
    if (entry.segments) TMPDUMP_CHECK(data_end(entry, entry.segments->header_bytes));
  }
  TMPDUMP_CHECK(check_paths(directory.entries));
  // "./" has been checked like all others and says nothing: the root is there already.
  std::erase_if(directory.entries, [](const Entry& entry) { return entry.path.empty(); });
  return directory;
}

} // namespace tmpdump::zip
