// SPDX-License-Identifier: Apache-2.0
// What stands around an entry's data: the local header (4.3.7) and the data descriptor (4.3.9).
#include "zip/directory.h"
#include "zip/extra_field.h"
#include "zip/name.h"
#include "zip/records.h"

namespace tmpdump::zip {
namespace {

// The bits that say how to read the entry. The others are hints about the compressor's effort (bits 1, 2) or
// reserved, and writers are careless with them.
constexpr std::uint16_t meaningful_flags = flag::encrypted | flag::data_descriptor | flag::patch_data |
                                           flag::strong_encryption | flag::utf8 | flag::masked_header;

Failure bad_local(const Entry& entry, std::string_view why) {
  return bad_entry(entry.path, "local header: " + std::string(why));
}

struct Sizes {
  std::uint64_t size = 0;
  std::uint64_t compressed_size = 0;
};

result<Sizes> read_sizes(Bytes header, const ExtraItems& items) {
  Sizes sizes{load_le32(header, local::size), load_le32(header, local::compressed_size)};
  if (sizes.size == saturated32 || sizes.compressed_size == saturated32) {
    // Here the zip64 item must hold both sizes, whichever of them is saturated (4.5.3).
    if (!items.zip64 || items.zip64->size() < 16) return bad_archive("a zip64 size is missing");
    if (sizes.size == saturated32) sizes.size = load_le64(*items.zip64, 0);
    if (sizes.compressed_size == saturated32) sizes.compressed_size = load_le64(*items.zip64, 8);
  }
  return sizes;
}

// bsdtar goes by this header's Unicode Path, others by the directory's.
bool names_another(const std::optional<Bytes>& unicode_path, const Entry& entry) {
  const auto name = unicode_path ? unicode_name(*unicode_path, entry.raw_name) : std::nullopt;
  if (!name || *name == entry.raw_name) return false;
  const auto clean = clean_path(*name, made_by_unix);
  return clean.has_error() || clean->path != entry.path;
}

// A descriptor with sizes of `width` bytes at `at`.
bool descriptor_agrees(Bytes bytes, std::size_t at, std::size_t width, const Entry& entry) {
  if (bytes.size() < at + 4 + 2 * width) return false;
  const bool wide = width == 8;
  const std::uint64_t compressed_size = wide ? load_le64(bytes, at + 4) : load_le32(bytes, at + 4);
  const std::uint64_t size = wide ? load_le64(bytes, at + 12) : load_le32(bytes, at + 8);
  return load_le32(bytes, at) == entry.crc && compressed_size == entry.compressed_size && size == entry.size;
}

} // namespace

result<std::size_t> local_header_size(Bytes fixed_part, const Entry& entry) {
  if (fixed_part.size() < local::fixed_size) return bad_local(entry, "it is cut off");
  if (load_le32(fixed_part, 0) != local::signature) {
    return bad_local(entry, "there is none where the central directory says");
  }
  const std::size_t name_length = load_le16(fixed_part, local::name_length);
  if (name_length != entry.raw_name.size()) {
    return bad_local(entry, "its name differs from the central directory's");
  }
  return local::fixed_size + name_length + load_le16(fixed_part, local::extra_length);
}

result<void> check_local_header(Bytes header, const Entry& entry) {
  TMPDUMP_TRY(const std::size_t length, local_header_size(header, entry));
  if (header.size() != length) return bad_local(entry, "it is cut off");
  if (text_of(header.subspan(local::fixed_size, entry.raw_name.size())) != entry.raw_name) {
    return bad_local(entry, "its name differs from the central directory's");
  }
  if (load_le16(header, local::method) != static_cast<std::uint16_t>(entry.method)) {
    return bad_local(entry, "its compression method differs from the central directory's");
  }
  if (((load_le16(header, local::flags) ^ entry.flags) & meaningful_flags) != 0) {
    return bad_local(entry, "its flags differ from the central directory's");
  }
  const auto items = read_extra(header.subspan(local::fixed_size + entry.raw_name.size()));
  if (items.has_error()) return bad_local(entry, items.error().message);
  if (names_another(items->unicode_path, entry)) {
    return bad_local(entry, "its Unicode Path differs from the central directory's");
  }
  const auto sizes = read_sizes(header, *items);
  if (sizes.has_error()) return bad_local(entry, sizes.error().message);
  // A streaming writer did not know these yet and leaves 0; some know one of them.
  const bool streamed = (entry.flags & flag::data_descriptor) != 0;
  const auto agrees = [streamed](std::uint64_t here, std::uint64_t there) {
    return here == there || (streamed && here == 0);
  };
  if (!agrees(load_le32(header, local::crc), entry.crc)) {
    return bad_local(entry, "its CRC differs from the central directory's");
  }
  if (!agrees(sizes->compressed_size, entry.compressed_size) || !agrees(sizes->size, entry.size)) {
    return bad_local(entry, "its sizes differ from the central directory's");
  }
  return {};
}

result<std::uint64_t> data_end(const Entry& entry, std::size_t local_header_length) {
  std::uint64_t end = 0;
  std::uint64_t with_descriptor = 0;
  if (!checked_add(entry.local_header_offset, local_header_length, end) ||
      !checked_add(end, entry.compressed_size, end) ||
      !checked_add(end, min_descriptor_size(entry), with_descriptor) || with_descriptor > entry.region_end) {
    return bad_entry(entry.path, "its data overlaps what follows");
  }
  return end;
}

result<void> check_data_descriptor(Bytes after_data, const Entry& entry) {
  if (min_descriptor_size(entry) == 0) return {};
  // Which of the four forms it is cannot be told from a flag; writers do not follow 4.3.9.2 (8 bytes if and
  // only if there is a zip64 extra field). All values are known, so that a form fits or does not.
  const bool is_signed = after_data.size() >= 4 && load_le32(after_data, 0) == descriptor::signature;
  for (const std::size_t width : {std::size_t{4}, std::size_t{8}}) {
    if (is_signed && descriptor_agrees(after_data, 4, width, entry)) return {};
    if (descriptor_agrees(after_data, 0, width, entry)) return {};
  }
  return bad_entry(entry.path, "its data descriptor is missing or contradicts the central directory");
}

} // namespace tmpdump::zip
