// SPDX-License-Identifier: Apache-2.0
#include "pack/nested_jar.h"

#include "decode/decoder.h"
#include "pack/codec.h"
#include "pack/entry_reader.h"
#include "pack/little_endian.h"
#include "pack/text.h"

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

namespace tmpdump::pack {

namespace {

constexpr std::uint16_t encrypted = 0x0041;       // APPNOTE 4.4.4: bits 0 and 6
constexpr std::uint16_t descriptor_follows = 0x8; // bit 3
constexpr int deflate_level = 9;

// Places in a local header, 4.3.7.
namespace local {
constexpr std::size_t flags = 6, crc = 14, packed = 18, size = 22, name_length = 26, extra_length = 28,
                      fixed = 30;
}

// What entry_reader needs to know.
std::optional<zip::Entry> entry_of(const ArchiveFile& jar, const Member& member) {
  const Bytes header = member.header.whole;
  const std::uint32_t size = load_le32(header, central::size);
  zip::Entry entry;
  entry.flags = load_le16(header, central::flags);
  entry.method = static_cast<zip::Method>(load_le16(header, central::method));
  const bool readable = entry.method == zip::Method::stored || entry.method == zip::Method::deflate;
  if (!readable || (entry.flags & encrypted) != 0 || size == saturated || member.packed >= saturated)
    return std::nullopt;
  entry.path = entry.raw_name = std::string(member.header.name);
  entry.crc = load_le32(header, central::crc);
  entry.compressed_size = member.packed;
  entry.size = size;
  entry.local_header_offset = jar.location().stub_size + member.offset;
  entry.region_end = jar.location().stub_size + member.end;
  return entry;
}

result<void> write_all(int file, Bytes bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(file, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_failure("write into TMPDIR", errno);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return {};
}

// The extra field without zip64's, whose numbers are those of the data that go.
std::string kept_extra(Bytes extra) {
  std::string kept;
  while (extra.size() >= 4) {
    const std::size_t length = std::min<std::size_t>(4 + load_le16(extra, 2), extra.size());
    if (load_le16(extra, 0) != zip64_id) kept += text_of(extra.first(length));
    extra = extra.subspan(length);
  }
  return kept + std::string(text_of(extra));
}

void patch(std::string& header, const Replacement& replacement, std::size_t flags, std::size_t crc,
           std::size_t packed, std::size_t size) {
  const std::uint16_t before = load_le16(bytes_of(header), flags);
  store_le<std::uint16_t>(header, flags, before & static_cast<std::uint16_t>(~descriptor_follows));
  store_le<std::uint32_t>(header, crc, replacement.crc);
  store_le<std::uint32_t>(header, packed, static_cast<std::uint32_t>(replacement.data.size()));
  store_le<std::uint32_t>(header, size, static_cast<std::uint32_t>(replacement.size));
}

} // namespace

result<std::optional<ArchiveFile>> open_nested(const ArchiveFile& jar, const Member& member,
                                               Workspace& workspace) {
  const auto entry = entry_of(jar, member);
  if (!entry) return std::optional<ArchiveFile>();
  TMPDUMP_TRY(const std::string path, workspace.new_file());
  UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file) return system_failure("unpack " + quote(entry->path) + " into TMPDIR", errno);
  const auto done = read_content(jar, *entry, [&](Bytes bytes) { return write_all(file.get(), bytes); });
  if (!done) return done.error().within(quote(jar.path()));
  auto nested = ArchiveFile::open(std::move(file), jar.path() + "!" + entry->path);
  // A file that is only called so: nobody's class path holds it.
  if (!nested && nested.error().code == Errc::bad_archive) return std::optional<ArchiveFile>();
  TMPDUMP_TRY(ArchiveFile opened, std::move(nested));
  return std::optional<ArchiveFile>(std::move(opened));
}

result<Replacement> replacement_of(int file, std::uint64_t size, const Member& member) {
  Replacement out;
  out.size = size;
  out.data.resize(static_cast<std::size_t>(size));
  std::size_t at = 0;
  while (at < out.data.size()) {
    const ssize_t count = ::pread(file, out.data.data() + at, out.data.size() - at, static_cast<off_t>(at));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return system_failure("read from TMPDIR", count == 0 ? EIO : errno);
    at += static_cast<std::size_t>(count);
  }
  out.crc = decode::crc32(0, out.data);
  if (load_le16(member.header.whole, central::method) == static_cast<std::uint16_t>(zip::Method::deflate)) {
    TMPDUMP_TRY(out.data, make_codec(zip::Method::deflate, deflate_level)->compress(out.data, true));
  }
  return out;
}

result<void> write_replaced(const ArchiveFile& jar, const Member& member, OutputFile& out) {
  const std::uint64_t at = jar.location().stub_size + member.offset;
  std::string header(local::fixed, '\0');
  TMPDUMP_CHECK(jar.read_at(at, std::as_writable_bytes(std::span(header.data(), header.size()))));
  const std::size_t name = load_le16(bytes_of(header), local::name_length);
  std::string rest(name + load_le16(bytes_of(header), local::extra_length), '\0');
  TMPDUMP_CHECK(jar.read_at(at + local::fixed, std::as_writable_bytes(std::span(rest.data(), rest.size()))));
  const std::string extra = kept_extra(bytes_of(rest).subspan(name));
  patch(header, *member.replacement, local::flags, local::crc, local::packed, local::size);
  store_le<std::uint16_t>(header, local::extra_length, static_cast<std::uint16_t>(extra.size()));
  TMPDUMP_CHECK(out.append(bytes_of(header + rest.substr(0, name) + extra)));
  return out.append(member.replacement->data);
}

void patch_central(std::string& header, const Replacement& replacement) {
  patch(header, replacement, central::flags, central::crc, central::packed, central::size);
}

} // namespace tmpdump::pack
