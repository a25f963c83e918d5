// SPDX-License-Identifier: Apache-2.0
// What is going to be packed.
#pragma once

#include "zip/directory.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace tmpdump::pack {

struct Item {
  std::string path; // in the archive, as in zip::Entry
  zip::Kind kind = zip::Kind::file;
  mode_t mode = 0644;
  std::string target; // a symbolic link's
  std::string file;   // where its bytes are; a copy in the workspace for what comes out of a jar
  std::string origin; // for people: the file, or "app.jar!org/bytedeco/..."
  std::uint64_t size = 0;
  std::uint64_t size_before = 0; // of the original, before --strip
  bool asked_for = false;        // matched by an --include, or named as a SOURCE by itself
};

// Something that a source holds and the archive will not.
struct LeftOut {
  std::string origin;
  std::string why;
  std::uint64_t size = 0;
};

// libx.so, libx.so.4.10: what a loader would open.
inline bool named_like_a_library(std::string_view path) {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  const std::size_t at = name.rfind(".so");
  if (at == std::string_view::npos || at == 0) return false;
  const std::string_view version = name.substr(at + 3);
  return version.empty() ||
         (version[0] == '.' && version.find_first_not_of("0123456789.", 1) == std::string_view::npos);
}

} // namespace tmpdump::pack
