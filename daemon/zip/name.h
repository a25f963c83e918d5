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

// Hosts (4.4.2.2).
inline constexpr std::uint8_t made_by_dos = 0, made_by_unix = 3, made_by_darwin = 19;
// Those whose external attributes hold a Unix mode, and whose names are plain bytes.
inline bool is_unix(std::uint8_t made_by_host) {
  return made_by_host == made_by_unix || made_by_host == made_by_darwin;
}

// What an Info-ZIP Unicode Path item (4.6.9) calls the entry whose header says `raw`; nothing if its CRC is
// not that of `raw`: a tool that does not know the field has renamed the entry, and the header's name holds.
std::optional<std::string_view> unicode_name(Bytes item, std::string_view raw);

// The name in UTF-8. With flag bit 11 it is that already (checked). Else, in this order: the Unicode Path;
// the bytes as they are, if a Unix wrote them and they are UTF-8 (Info-ZIP's zip stores the file system's
// bytes without a flag, unzip reads them so); CP437 (4.4.4, appendix D) from elsewhere. Refuses what readers
// decode in different ways, but for a Unicode Path that has the letters for which the header has substitutes.
// The message does not name the entry.
result<std::string> decode_name(std::string_view raw, std::uint16_t flags, std::uint8_t made_by_host,
                                const std::optional<Bytes>& unicode_path);

struct CleanPath {
  std::string path; // as in Entry::path; empty: the archive's root itself ("./", which bsdtar writes)
  bool is_directory = false; // ended in a slash
};

// Refuses what has no one meaning or leaves the root. One leading "./" is dropped; "a//b", "a/./b", and ".."
// are refused. So are control characters and drive letters, which some readers leave out. A backslash is an
// ordinary byte in names from Unix, as for unzip, and in names that have a '/'; else it may have been meant
// as a separator (which 4.4.17.1 forbids) or not, so it is refused. The message does not name the entry.
result<CleanPath> clean_path(std::string_view name, std::uint8_t made_by_host);

} // namespace tmpdump::zip
