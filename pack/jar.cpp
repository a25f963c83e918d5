// SPDX-License-Identifier: Apache-2.0
#include "pack/jar.h"

#include "pack/text.h"

#include <algorithm>

namespace tmpdump::pack {

namespace {

// The numbers of a header, 64-bit ones from the extra field.
result<Member> read_member(const ArchiveFile& jar, const CentralHeader& header) {
  Member member;
  member.header = header;
  member.offset = load_le32(header.whole, central::offset);
  member.packed = load_le32(header.whole, central::packed);
  Bytes extra = header.extra;
  while (extra.size() >= 4) {
    const std::size_t length = load_le16(extra, 2);
    if (length > extra.size() - 4) return bad_member(jar, header.name, "its extra field is cut off");
    if (load_le16(extra, 0) == zip64_id) {
      const Bytes values = extra.subspan(4, length); // 4.5.3: only what is saturated, in this order
      std::size_t at = load_le32(header.whole, central::size) == saturated ? 8 : 0;
      if (member.packed == saturated && at + 8 <= values.size()) {
        member.packed = load_le64(values, at);
        at += 8;
      }
      if (member.offset == saturated && at + 8 <= values.size()) {
        member.offset = load_le64(values, at);
        member.zip64_offset = static_cast<std::size_t>(values.data() - header.whole.data()) + at;
      }
    }
    extra = extra.subspan(4 + length);
  }
  if (load_le32(header.whole, central::offset) == saturated && member.zip64_offset == 0)
    return bad_member(jar, header.name, "a zip64 offset is missing");
  return member;
}

} // namespace

std::string effective_path(std::string_view name) {
  constexpr std::string_view versions = "META-INF/versions/";
  if (!name.starts_with(versions)) return std::string(name);
  const std::string_view rest = name.substr(versions.size());
  const std::size_t slash = rest.find('/');
  const bool number = slash != std::string_view::npos && slash > 0 &&
                      rest.substr(0, slash).find_first_not_of("0123456789") == std::string_view::npos;
  return std::string(number ? rest.substr(slash + 1) : name);
}

bool is_signature(std::string_view name) {
  if (!name.starts_with("META-INF/") || name.find('/', 9) != std::string_view::npos) return false;
  std::string upper(name);
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  return upper.ends_with(".SF") || upper.ends_with(".RSA") || upper.ends_with(".DSA") ||
         upper.ends_with(".EC") || upper.starts_with("META-INF/SIG-");
}

Failure bad_member(const ArchiveFile& jar, std::string_view name, std::string_view why) {
  return {Errc::bad_archive, quote(jar.path()) + ": entry " + quote(name) + ": " + std::string(why)};
}

result<std::vector<Member>> read_members(const ArchiveFile& jar) {
  TMPDUMP_TRY(const auto headers, jar.headers());
  const std::uint64_t end = jar.location().offset - jar.location().stub_size;
  std::vector<Member> members;
  for (const CentralHeader& header : headers) {
    TMPDUMP_TRY(Member member, read_member(jar, header));
    if (member.offset >= end) return bad_member(jar, header.name, "its offset lies outside the archive");
    members.push_back(std::move(member));
  }
  std::vector<std::uint64_t> offsets{end};
  for (const Member& member : members)
    offsets.push_back(member.offset);
  std::sort(offsets.begin(), offsets.end());
  for (Member& member : members) {
    member.end = *std::upper_bound(offsets.begin(), offsets.end(), member.offset);
    if (member.packed > member.end - member.offset)
      return bad_member(jar, member.header.name, "its data overlaps what follows");
  }
  return members;
}

// The archive's own comment: what follows the end record, which follows the directory and zip64's records.
result<std::string> read_comment(const ArchiveFile& jar) {
  const std::uint64_t begin = jar.location().offset + jar.location().size;
  std::string tail(static_cast<std::size_t>(jar.size() - begin), '\0');
  TMPDUMP_CHECK(jar.read_at(begin, std::as_writable_bytes(std::span(tail.data(), tail.size()))));
  const std::size_t end = tail.find("PK\5\6");
  constexpr std::size_t end_size = 22, comment_length = 20;
  if (end == std::string::npos || tail.size() - end < end_size) return std::string();
  return tail.substr(end + end_size, load_le16(bytes_of(tail), end + comment_length));
}

} // namespace tmpdump::pack
