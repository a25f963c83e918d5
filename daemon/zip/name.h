// SPDX-License-Identifier: Apache-2.0
// From the bytes of a stored name to a path that has one meaning.
#pragma once

#include "base/bytes.h"
#include "base/error.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tmpdump::zip {

inline constexpr std::size_t max_path = 4096;     // bytes; PATH_MAX
inline constexpr std::size_t max_component = 255; // bytes; NAME_MAX
// Our staging and manifest live there (DEST/.tmpdump): no archive may write into it.
inline constexpr std::string_view reserved_name = ".tmpdump";

// Hosts whose external attributes hold a Unix mode, and whose names are plain bytes (4.4.2.2).
inline bool is_unix(std::uint8_t made_by_host) {
  return made_by_host == 3 || made_by_host == 19;
}

// The name in UTF-8. With flag bit 11 it is that already (checked). Else, in this order: the Info-ZIP Unicode
// Path, if its CRC says that it belongs to this name (4.6.9); the bytes as they are, if a Unix wrote them and
// they are UTF-8 (Info-ZIP's zip stores the file system's bytes without a flag, unzip reads them so); CP437
// (4.4.4, appendix D). The message does not name the entry.
result<std::string> decode_name(std::string_view raw, std::uint16_t flags, std::uint8_t made_by_host,
                                const std::optional<Bytes>& unicode_path);

struct CleanPath {
  std::string path; // as in Entry::path; empty: the archive's root itself ("./", which bsdtar writes)
  bool is_directory = false; // ended in a slash
};

// Refuses what has no one meaning or leaves the root. One leading "./" is dropped; "a//b", "a/./b", and ".."
// are refused. A backslash is an ordinary byte in names from Unix, as for unzip; from other hosts it may have
// been meant as a separator (which 4.4.17.1 forbids) or not, so it is refused. The message does not name the
// entry.
result<CleanPath> clean_path(std::string_view name, std::uint8_t made_by_host);

} // namespace tmpdump::zip
