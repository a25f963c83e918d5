// SPDX-License-Identifier: Apache-2.0
#include "support/zip_reader.h"

#include "support/zip_builder.h"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <variant>

namespace tmpdump::test {
namespace {

result<std::string> inflate_exactly(std::string_view data, std::size_t size) {
  // One byte more than it should have, so that too much shows.
  std::string out(size + 1, '\0');
  z_stream stream{};
  if (inflateInit2(&stream, -15) != Z_OK) return Failure{Errc::io, "inflateInit2"};
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
  stream.avail_in = static_cast<uInt>(data.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int status = inflate(&stream, Z_FINISH);
  const bool good = status == Z_STREAM_END && stream.avail_in == 0 && stream.total_out == size;
  inflateEnd(&stream);
  if (!good) return Failure{Errc::bad_archive, "bad deflate data"};
  out.resize(size);
  return out;
}

result<std::string> decode(const zip::Entry& entry, std::string_view data) {
  const auto size = static_cast<std::size_t>(entry.size);
  if (entry.method == zip::Method::stored) return std::string(data);
  if (entry.method == zip::Method::deflate) return inflate_exactly(data, size);
  std::string out(size, '\0');
  if (ZSTD_decompress(out.data(), out.size(), data.data(), data.size()) != size) {
    return Failure{Errc::bad_archive, "bad zstd data"};
  }
  return out;
}

result<std::string> read_entry(std::string_view file, const zip::Entry& entry) {
  const std::string_view region =
      file.substr(entry.local_header_offset, entry.region_end - entry.local_header_offset);
  TMPDUMP_TRY(const std::size_t header, zip::local_header_size(bytes_of(region), entry));
  TMPDUMP_TRY(const std::uint64_t end, zip::data_end(entry, header));
  TMPDUMP_CHECK(zip::check_local_header(bytes_of(region.substr(0, header)), entry));
  if (entry.kind == zip::Kind::directory) return std::string();
  const std::uint64_t data_size = end - entry.local_header_offset - header;
  TMPDUMP_TRY(std::string content, decode(entry, region.substr(header, data_size)));
  TMPDUMP_CHECK(zip::check_data_descriptor(bytes_of(region.substr(header + data_size)), entry));
  if (crc32_of(content) != entry.crc) return Failure{Errc::bad_archive, "wrong CRC"};
  if (entry.kind == zip::Kind::symlink) TMPDUMP_CHECK(zip::check_symlink_target(entry, content));
  return content;
}

} // namespace

result<zip::DirectoryLocation> locate(std::string_view file, std::size_t tail) {
  std::size_t begin = file.size() - std::min(tail, file.size());
  for (int asked = 0; asked < 2; ++asked) {
    TMPDUMP_TRY(const auto found, zip::locate_directory(bytes_of(file.substr(begin)), file.size()));
    if (const auto* location = std::get_if<zip::DirectoryLocation>(&found)) return *location;
    const std::uint64_t offset = std::get<zip::NeedMore>(found).offset;
    if (offset >= begin) break;
    begin = static_cast<std::size_t>(offset);
  }
  return Failure{Errc::io, "asked for more than once, or for what it had"};
}

result<zip::Directory> read_directory(std::string_view file, const zip::Limits& limits) {
  TMPDUMP_TRY(const zip::DirectoryLocation location, locate(file));
  TMPDUMP_CHECK(zip::check_limits(location, limits));
  return zip::parse_directory(bytes_of(file.substr(location.offset, location.size)), location, file.size(),
                              limits);
}

result<Contents> unpack(std::string_view file) {
  TMPDUMP_TRY(const zip::Directory directory, read_directory(file));
  Contents contents;
  for (const zip::Entry& entry : directory.entries) {
    if (entry.size > std::uint64_t{1} << 30U) return Failure{Errc::no_space, "too much for a test"};
    TMPDUMP_TRY(std::string content, read_entry(file, entry));
    contents[entry.kind == zip::Kind::directory ? entry.path + "/" : entry.path] = std::move(content);
  }
  return contents;
}

} // namespace tmpdump::test
