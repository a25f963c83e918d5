// SPDX-License-Identifier: Apache-2.0
#include "support/zip_builder.h"

#include <zlib.h>
#include <zstd.h>

#include <stdexcept>

namespace tmpdump::test {
namespace {

template <class T>
void put(std::string& out, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i)
    out.push_back(static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * i) & 0xFFU));
}
void put16(std::string& out, std::uint64_t value) {
  put(out, static_cast<std::uint16_t>(value));
}
void put32(std::string& out, std::uint64_t value) {
  put(out, static_cast<std::uint32_t>(value));
}
void put64(std::string& out, std::uint64_t value) {
  put(out, value);
}

std::uint16_t flags_of(const ZipOptions& options) {
  const unsigned descriptor = options.descriptor == Descriptor::none ? 0U : 1U << 3U;
  return static_cast<std::uint16_t>(options.flags | descriptor);
}

std::uint16_t version_needed(const ZipOptions& options) { // 4.4.3.2
  if (options.method == 93) return 63;
  return options.zip64 ? 45 : 20;
}

void put_times(std::string& out) {
  put16(out, 0x6000);                                // 12:00:00
  put16(out, (2024U - 1980U) << 9U | 1U << 5U | 1U); // 2024-01-01
}

} // namespace

std::string deflate_raw(std::string_view content, int level) {
  return deflate_segment(content, level, true);
}

std::string deflate_segment(std::string_view content, int level, bool last) {
  z_stream stream{};
  if (deflateInit2(&stream, level, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    throw std::runtime_error("deflateInit2");
  }
  std::string out(deflateBound(&stream, content.size()) + 16, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(content.data()));
  stream.avail_in = static_cast<uInt>(content.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int status = deflate(&stream, last ? Z_FINISH : Z_FULL_FLUSH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  if (status != (last ? Z_STREAM_END : Z_OK)) throw std::runtime_error("deflate");
  return out;
}

std::string zstd_frame(std::string_view content, int level) {
  std::string out(ZSTD_compressBound(content.size()), '\0');
  const std::size_t size = ZSTD_compress(out.data(), out.size(), content.data(), content.size(), level);
  if (ZSTD_isError(size) != 0) throw std::runtime_error("ZSTD_compress");
  out.resize(size);
  return out;
}

std::uint32_t crc32_of(std::string_view content) {
  return static_cast<std::uint32_t>(
      crc32_z(0, reinterpret_cast<const Bytef*>(content.data()), content.size()));
}

std::string extra_item(std::uint16_t id, std::string_view data) {
  std::string out;
  put16(out, id);
  put16(out, data.size());
  return out.append(data);
}

std::string unicode_path_extra(std::string_view raw, std::string_view name) {
  std::string data(1, '\1');
  put32(data, crc32_of(raw));
  return extra_item(0x7075, data.append(name));
}

ZipBuilder& ZipBuilder::add(std::string_view name, std::string_view content, const ZipOptions& options) {
  if (options.segment_bytes != 0) {
    std::vector<std::string> segments;
    for (std::size_t at = 0; at < content.size(); at += options.segment_bytes) {
      const auto share = content.substr(at, options.segment_bytes);
      const bool last = at + share.size() == content.size();
      segments.push_back(options.method == 8 ? deflate_segment(share, options.level, last)
                                             : zstd_frame(share, options.level));
    }
    return add_packed(name, content, segments, options);
  }
  Item item{std::string(name), std::string(content), content.size(), crc32_of(content), options, {}};
  const bool directory = !name.empty() && name.back() == '/';
  if (!item.options.mode) {
    item.options.mode = options.made_by != 3 && options.made_by != 19 ? 0U : directory ? 0040755U : 0100644U;
  }
  if (options.method == 8) item.data = deflate_raw(content, options.level);
  if (options.method == 93) item.data = zstd_frame(content, options.level);
  items_.push_back(std::move(item));
  return *this;
}

ZipBuilder& ZipBuilder::add_packed(std::string_view name, std::string_view content,
                                   const std::vector<std::string>& segments, const ZipOptions& options) {
  Item item{std::string(name), "", content.size(), crc32_of(content), options, {}};
  if (!item.options.mode) item.options.mode = 0100644U;
  for (const auto& data : segments) {
    item.segments.push_back(data.size());
    item.data += data;
  }
  items_.push_back(std::move(item));
  return *this;
}

ZipBuilder& ZipBuilder::directory(std::string_view name, std::uint32_t permissions) {
  return add(std::string(name) + "/", "", {.method = 0, .mode = 0040000U | permissions});
}

ZipBuilder& ZipBuilder::symlink(std::string_view name, std::string_view target) {
  return add(name, target, {.method = 0, .mode = 0120777U});
}

ZipBuilder& ZipBuilder::comment(std::string_view text) {
  comment_ = text;
  return *this;
}

ZipBuilder& ZipBuilder::stub(std::string_view bytes, bool adjusted) {
  stub_ = bytes;
  adjusted_ = adjusted;
  return *this;
}

ZipBuilder& ZipBuilder::zip64_end(bool write) {
  zip64_end_ = write;
  return *this;
}

ZipBuilder& ZipBuilder::before_directory(std::string_view bytes) {
  before_directory_ = bytes;
  return *this;
}

ZipBuilder& ZipBuilder::digital_signature(std::string_view data) {
  digital_signature_.clear();
  put32(digital_signature_, 0x05054b50);
  put16(digital_signature_, data.size());
  digital_signature_.append(data);
  return *this;
}

void ZipBuilder::put_local_header(std::string& out, const Item& item) { // 4.3.7
  const ZipOptions& options = item.options;
  const bool known = options.descriptor == Descriptor::none || options.sizes_in_local_header;
  const std::uint64_t size = known ? item.size : 0;
  const std::uint64_t compressed_size = known ? item.data.size() : 0;
  std::string extra = options.local_extra;
  if (options.zip64) {
    std::string sizes;
    put64(sizes, size);
    put64(sizes, compressed_size);
    extra += extra_item(1, sizes);
  }
  put32(out, 0x04034b50);
  put16(out, version_needed(options));
  put16(out, flags_of(options));
  put16(out, options.method);
  put_times(out);
  put32(out, known ? item.crc : 0);
  put32(out, options.zip64 ? 0xFFFFFFFF : compressed_size);
  put32(out, options.zip64 ? 0xFFFFFFFF : size);
  put16(out, item.name.size());
  put16(out, extra.size());
  out += item.name;
  out += extra;
}

void ZipBuilder::put_descriptor(std::string& out, const Item& item) { // 4.3.9
  const Descriptor form = item.options.descriptor;
  if (form == Descriptor::none) return;
  if (form == Descriptor::signed32 || form == Descriptor::signed64) put32(out, 0x08074b50);
  put32(out, item.crc);
  const bool wide = form == Descriptor::signed64 || form == Descriptor::plain64;
  for (const std::uint64_t size : {std::uint64_t{item.data.size()}, item.size}) {
    if (wide) {
      put64(out, size);
    } else {
      put32(out, size);
    }
  }
}

void ZipBuilder::put_central_header(std::string& out, const Item& item, std::uint64_t offset) { // 4.3.12
  const ZipOptions& options = item.options;
  std::string extra = options.central_extra;
  if (options.zip64) {
    std::string values;
    put64(values, item.size);
    put64(values, item.data.size());
    put64(values, offset);
    extra += extra_item(1, values);
  }
  if (!item.segments.empty()) {
    std::string header;
    put_local_header(header, item);
    std::string index; // proto/packed.md
    put16(index, 1);
    put16(index, header.size());
    put32(index, options.segment_bytes);
    put32(index, item.segments.size());
    for (const std::size_t compressed : item.segments)
      put32(index, compressed);
    if (options.lie) options.lie(index);
    extra += extra_item(0x5444, index);
  }
  put32(out, 0x02014b50);
  put16(out, 63U | static_cast<unsigned>(options.made_by) << 8U);
  put16(out, version_needed(options));
  put16(out, flags_of(options));
  put16(out, options.method);
  put_times(out);
  put32(out, item.crc);
  put32(out, options.zip64 ? 0xFFFFFFFF : item.data.size());
  put32(out, options.zip64 ? 0xFFFFFFFF : item.size);
  put16(out, item.name.size());
  put16(out, extra.size());
  put16(out, options.comment.size());
  put16(out, 0); // disk
  put16(out, 0); // internal attributes
  put32(out, options.mode.value_or(0) << 16U | options.dos_attributes);
  put32(out, options.zip64 ? 0xFFFFFFFF : offset);
  out += item.name;
  out += extra;
  out += options.comment;
}

BuiltZip ZipBuilder::build() const {
  BuiltZip zip;
  std::string& out = zip.bytes;
  out = stub_;
  zip.stub_size = adjusted_ ? 0 : stub_.size();
  for (const Item& item : items_) {
    ZipPlaces places;
    places.local_header = out.size();
    put_local_header(out, item);
    places.data = out.size();
    out += item.data;
    places.data_end = out.size();
    put_descriptor(out, item);
    places.region_end = out.size();
    zip.entries.push_back(places);
  }
  out += before_directory_;
  zip.directory = out.size();
  for (std::size_t i = 0; i < items_.size(); ++i) {
    zip.entries[i].central_header = out.size();
    put_central_header(out, items_[i], zip.entries[i].local_header - zip.stub_size);
  }
  out += digital_signature_;
  zip.directory_size = out.size() - zip.directory;
  const std::uint64_t stored_offset = zip.directory - zip.stub_size;

  if (zip64_end_) {
    zip.end64 = out.size(); // 4.3.14
    put32(out, 0x06064b50);
    put64(out, 44);
    put16(out, 63U | 3U << 8U);
    put16(out, 45);
    put32(out, 0);
    put32(out, 0);
    put64(out, items_.size());
    put64(out, items_.size());
    put64(out, zip.directory_size);
    put64(out, stored_offset);
    zip.locator64 = out.size(); // 4.3.15
    put32(out, 0x07064b50);
    put32(out, 0);
    put64(out, *zip.end64 - zip.stub_size);
    put32(out, 1);
  }
  zip.end = out.size(); // 4.3.16
  put32(out, 0x06054b50);
  put16(out, 0);
  put16(out, 0);
  put16(out, zip64_end_ ? 0xFFFF : items_.size());
  put16(out, zip64_end_ ? 0xFFFF : items_.size());
  put32(out, zip64_end_ ? 0xFFFFFFFF : zip.directory_size);
  put32(out, zip64_end_ ? 0xFFFFFFFF : stored_offset);
  put16(out, comment_.size());
  out += comment_;
  return zip;
}

} // namespace tmpdump::test
