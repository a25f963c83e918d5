// SPDX-License-Identifier: Apache-2.0
#include "pack/zip_writer.h"

#include "pack/little_endian.h"
#include "pack/text.h"
#include "zip/name.h"
#include "zip/segment_index.h"

#include <algorithm>
#include <sys/stat.h>

namespace tmpdump::pack {

namespace {

constexpr std::uint32_t local_signature = 0x04034b50, central_signature = 0x02014b50,
                        end_signature = 0x06054b50, end64_signature = 0x06064b50,
                        locator64_signature = 0x07064b50;
constexpr std::uint16_t saturated16 = 0xFFFF;
constexpr std::uint32_t saturated32 = 0xFFFFFFFF;
constexpr std::uint16_t zip64_id = 0x0001;       // 4.5.3
constexpr std::uint16_t utf8_flag = 1U << 11U;   // 4.4.4
constexpr std::uint16_t made_by = 3U << 8U | 63; // Unix; version 6.3
// 1980-01-01 00:00:00, the earliest that zip knows: an archive does not tell when it was made.
constexpr std::uint16_t fixed_time = 0, fixed_date = 1U << 5U | 1U;
constexpr std::size_t local_fixed_size = 30;
constexpr std::size_t local_crc = 14;
constexpr std::size_t zip64_local_size = 20;

// Sizes in a local header are written before the compressed size is known. Compression may add a little:
// deflate's stored blocks 5 bytes in 65,535, and each segment some more; so what is near the limit gets the
// wide form.
constexpr std::uint64_t needs_wide = 0xFF000000;

std::uint16_t version_needed(zip::Method method, bool wide, bool directory) {
  if (method == zip::Method::zstd) return 63;             // 4.4.3.2
  if (wide) return 45;                                    // zip64
  return method == zip::Method::deflate || directory ? 20 // deflate, directories
                                                     : 10;
}

std::uint16_t flags_of(const std::string& name) {
  const bool ascii =
      std::all_of(name.begin(), name.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
  return ascii ? std::uint16_t{0} : utf8_flag;
}

std::uint32_t narrow32(std::uint64_t value) {
  return value >= saturated32 ? saturated32 : static_cast<std::uint32_t>(value);
}

std::uint32_t attributes_of(zip::Kind kind, mode_t mode) {
  const auto type = static_cast<std::uint32_t>(kind == zip::Kind::directory ? S_IFDIR
                                               : kind == zip::Kind::symlink ? S_IFLNK
                                                                            : S_IFREG);
  const std::uint32_t dos = kind == zip::Kind::directory ? 0x10 : 0;
  return (type | (mode & 0777U)) << 16U | dos;
}

bool is_directory(std::uint32_t attributes) {
  return (attributes & 0x10U) != 0;
}

result<void> check_path(const std::string& path) {
  const auto bad = [&](std::string_view why) {
    return Failure{Errc::usage,
                   quote(path) + " cannot be stored: " + std::string(why) + "; rename or --exclude it"};
  };
  constexpr std::uint8_t unix_host = 3;
  if (const auto decoded = zip::decode_name(path, utf8_flag, unix_host, {}); !decoded)
    return bad("its name is not UTF-8");
  const auto clean = zip::clean_path(path, unix_host);
  if (!clean) return bad(clean.error().message);
  if (clean->path != path || clean->is_directory) return bad("its name has more than one meaning");
  return {};
}

} // namespace

std::string ZipWriter::local_header(const Record& record) const {
  std::string header;
  append_le32(header, local_signature);
  append_le16(header, version_needed(record.method, record.wide, is_directory(record.attributes)));
  append_le16(header, flags_of(record.name));
  append_le16(header, static_cast<std::uint16_t>(record.method));
  append_le16(header, fixed_time);
  append_le16(header, fixed_date);
  append_le32(header, record.crc);
  append_le32(header, record.wide ? saturated32 : static_cast<std::uint32_t>(record.compressed_size));
  append_le32(header, record.wide ? saturated32 : static_cast<std::uint32_t>(record.size));
  append_le16(header, static_cast<std::uint16_t>(record.name.size()));
  append_le16(header, record.wide ? zip64_local_size : 0);
  header += record.name;
  if (record.wide) {
    append_le16(header, zip64_id);
    append_le16(header, 16);
    append_le64(header, record.size);
    append_le64(header, record.compressed_size);
  }
  return header;
}

std::string ZipWriter::central_header(const Record& record) {
  std::string wide; // 4.5.3: only what is saturated, in this order
  if (record.size >= saturated32) append_le64(wide, record.size);
  if (record.compressed_size >= saturated32) append_le64(wide, record.compressed_size);
  if (record.offset >= saturated32) append_le64(wide, record.offset);
  std::string extra;
  if (!wide.empty()) {
    append_le16(extra, zip64_id);
    append_le16(extra, static_cast<std::uint16_t>(wide.size()));
    extra += wide;
  }
  if (const auto& sizes = record.segments.packed_sizes; !sizes.empty()) {
    append_le16(extra, zip::extra_segments);
    append_le16(extra, static_cast<std::uint16_t>(12 + 4 * sizes.size()));
    append_le16(extra, zip::segment_index_version); // and the reserved byte, 0
    append_le16(extra, static_cast<std::uint16_t>(local_fixed_size + record.name.size() +
                                                  (record.wide ? zip64_local_size : 0)));
    append_le32(extra, record.segments.segment_bytes);
    append_le32(extra, static_cast<std::uint32_t>(sizes.size()));
    for (const std::uint32_t size : sizes)
      append_le32(extra, size);
  }
  std::string header;
  append_le32(header, central_signature);
  append_le16(header, made_by);
  append_le16(header,
              version_needed(record.method, record.wide || !wide.empty(), is_directory(record.attributes)));
  append_le16(header, flags_of(record.name));
  append_le16(header, static_cast<std::uint16_t>(record.method));
  append_le16(header, fixed_time);
  append_le16(header, fixed_date);
  append_le32(header, record.crc);
  append_le32(header, narrow32(record.compressed_size));
  append_le32(header, narrow32(record.size));
  append_le16(header, static_cast<std::uint16_t>(record.name.size()));
  append_le16(header, static_cast<std::uint16_t>(extra.size()));
  append_le16(header, 0); // comment
  append_le16(header, 0); // disk
  append_le16(header, 0); // internal attributes
  append_le32(header, record.attributes);
  append_le32(header, narrow32(record.offset));
  return header + record.name + extra;
}

result<void> ZipWriter::begin(const std::string& path, zip::Kind kind, mode_t mode, zip::Method method,
                              std::uint64_t size) {
  TMPDUMP_CHECK(check_path(path));
  Record record;
  record.name = kind == zip::Kind::directory ? path + "/" : path;
  record.attributes = attributes_of(kind, mode);
  record.method = method;
  record.size = size;
  record.offset = out_.size();
  record.wide = size >= needs_wide;
  records_.push_back(std::move(record));
  return append_local_header(records_.back());
}

// A placeholder of it: CRC and sizes follow in end().
result<void> ZipWriter::append_local_header(const Record& record) {
  TMPDUMP_CHECK(out_.append(bytes_of(local_header(record))));
  data_begin_ = out_.size();
  return {};
}

result<void> ZipWriter::store_instead() {
  Record& record = records_.back();
  record.method = zip::Method::stored;
  TMPDUMP_CHECK(out_.truncate(record.offset));
  return append_local_header(record);
}

result<void> ZipWriter::data(Bytes compressed) {
  return out_.append(compressed);
}

result<void> ZipWriter::end(std::uint32_t crc, const Segments& segments) {
  Record& record = records_.back();
  record.crc = crc;
  record.compressed_size = out_.size() - data_begin_;
  record.segments = segments;
  if (!record.wide && record.compressed_size >= saturated32) {
    return Failure{Errc::io, quote(record.name) + ": grew beyond 4 GiB by compressing; this is a bug"};
  }
  return out_.overwrite(record.offset + local_crc,
                        bytes_of(std::string_view(local_header(record)).substr(local_crc)));
}

result<void> ZipWriter::finish() {
  const std::uint64_t offset = out_.size();
  for (const Record& record : records_)
    TMPDUMP_CHECK(out_.append(bytes_of(central_header(record))));
  return out_.append(bytes_of(end_records(records_.size(), offset, out_.size() - offset, {})));
}

std::string end_records(std::uint64_t count, std::uint64_t offset, std::uint64_t size,
                        std::string_view comment) {
  std::string out;
  if (count >= saturated16 || offset >= saturated32 || size >= saturated32) {
    append_le32(out, end64_signature);
    append_le64(out, 56 - 12); // of the rest of this record
    append_le16(out, made_by);
    append_le16(out, 45);
    append_le32(out, 0);
    append_le32(out, 0);
    append_le64(out, count);
    append_le64(out, count);
    append_le64(out, size);
    append_le64(out, offset);
    append_le32(out, locator64_signature);
    append_le32(out, 0);
    append_le64(out, offset + size);
    append_le32(out, 1);
  }
  const auto count16 = static_cast<std::uint16_t>(std::min<std::uint64_t>(count, saturated16));
  append_le32(out, end_signature);
  append_le16(out, 0);
  append_le16(out, 0);
  append_le16(out, count16);
  append_le16(out, count16);
  append_le32(out, narrow32(size));
  append_le32(out, narrow32(offset));
  append_le16(out, static_cast<std::uint16_t>(comment.size()));
  return out.append(comment);
}

} // namespace tmpdump::pack
