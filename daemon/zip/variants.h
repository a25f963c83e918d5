// SPDX-License-Identifier: Apache-2.0
// Libraries that an archive holds for several levels of a processor, in the folders where glibc looks for
// them: lib/glibc-hwcaps/x86-64-v3/libx.so beside lib/libx.so. Pure.
#pragma once

#include "base/cpu.h"
#include "base/error.h"
#include "zip/directory.h"

#include <optional>
#include <string>
#include <string_view>

namespace tmpdump::zip {

struct Variant {
  CpuLevel level = CpuLevel::baseline;
  std::string path;      // where it is published; empty: the level's folder itself
  std::size_t below = 0; // from where on `path` is what the level's folder holds: 4 of "lib/libx.so"
};

// "lib/glibc-hwcaps/x86-64-v3/libx.so" is lib/libx.so of level v3. Nothing: an ordinary path.
std::optional<Variant> variant_of(std::string_view path);

// Of DIR/glibc-hwcaps/x86-64-vN/PATH for every N, and DIR/PATH, only the best that `level` runs stays, under
// the path DIR/PATH; its raw_name stays what it was. Nothing is left of the folders for the levels, so that
// the loader finds one file by any of its ways; other folders in glibc-hwcaps are plain folders. What exists
// for higher levels alone is left out. Fails when a path then clashes with another entry's.
result<Directory> choose_variants(Directory directory, CpuLevel level);

} // namespace tmpdump::zip
