// SPDX-License-Identifier: Apache-2.0
// A jar as it is, read leniently: what the reader in the function would refuse (duplicates, odd names) may
// stand in an application's jar, and stays.
#pragma once

#include "pack/archive_file.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tmpdump::pack {

// What replaces a member's data: a jar inside this one that was rewritten.
struct Replacement {
  std::vector<std::byte> data; // as they stand in the archive
  std::uint64_t size = 0;      // of the rewritten jar, bytes
  std::uint32_t crc = 0;
};

struct Member {
  CentralHeader header;
  std::uint64_t offset = 0; // of the local header, relative to the archive proper, as the directory has it
  std::uint64_t end = 0;    // where the next member, or the directory, begins
  std::uint64_t packed = 0; // bytes
  bool dropped = false;
  std::size_t zip64_offset = 0; // where in the header the 64-bit offset stands; 0: nowhere
  std::optional<Replacement> replacement;
};

// Places in a central header, APPNOTE 4.3.12.
namespace central {
inline constexpr std::size_t flags = 8, method = 10, crc = 16, packed = 20, size = 24, offset = 42;
}
inline constexpr std::uint32_t saturated = 0xFFFFFFFF; // the number stands in the zip64 extra field
inline constexpr std::uint16_t zip64_id = 0x0001;

// Every member in the directory's order. The views lead into `jar`.
result<std::vector<Member>> read_members(const ArchiveFile& jar);

// The archive's own comment.
result<std::string> read_comment(const ArchiveFile& jar);

// The path that Java's class loader would know it by: META-INF/versions/9/org/bytedeco/x is org/bytedeco/x to
// it.
std::string effective_path(std::string_view name);

// A signature's own files (the JAR File Specification, "Signature file").
bool is_signature(std::string_view name);

Failure bad_member(const ArchiveFile& jar, std::string_view name, std::string_view why);

} // namespace tmpdump::pack
