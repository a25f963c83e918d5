// SPDX-License-Identifier: Apache-2.0
// What each kind of processor gets of an archive: the reader's choice (zip/variants.h), and what it refuses
// then.
#pragma once

#include "zip/variants.h"

#include <array>
#include <string>
#include <string_view>

namespace tmpdump::pack {

inline constexpr std::array all_levels{CpuLevel::baseline, CpuLevel::v2, CpuLevel::v3, CpuLevel::v4};

// "x86-64-v3" of "lib/glibc-hwcaps/x86-64-v3/libx.so", else nothing.
std::string_view level_of(std::string_view path);

// Where the reader puts what the archive holds under `path`: a variant without its level's folder.
std::string published_path(const std::string& path);

// A symbolic link counts from where it is published.
result<void> check_link(const std::string& path, std::string_view target);

// Fails when paths clash once the variants for this level are chosen; only paths and kinds are looked at.
result<void> check_level(const zip::Directory& directory, CpuLevel level);

} // namespace tmpdump::pack
