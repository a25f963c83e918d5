// SPDX-License-Identifier: Apache-2.0
#include "zip/variants.h"

#include "zip/conflicts.h"

#include <algorithm>
#include <array>
#include <map>

namespace tmpdump::zip {

namespace {

constexpr std::string_view folder = "glibc-hwcaps/";

} // namespace

std::optional<Variant> variant_of(std::string_view path) {
  std::size_t at = path.find(folder);
  while (at != std::string_view::npos && at != 0 && path[at - 1] != '/')
    at = path.find(folder, at + 1);
  if (at == std::string_view::npos) return std::nullopt;
  const std::string_view below = path.substr(at + folder.size());
  for (const CpuLevel level : {CpuLevel::v2, CpuLevel::v3, CpuLevel::v4}) {
    const std::string_view level_name = name(level);
    if (!below.starts_with(level_name)) continue;
    const std::string_view rest = below.substr(level_name.size());
    if (rest.empty()) return Variant{level, {}, 0};
    if (rest[0] == '/') return Variant{level, std::string(path.substr(0, at)).append(rest.substr(1)), at};
  }
  return std::nullopt;
}

result<Directory> choose_variants(Directory directory, CpuLevel level) {
  std::vector<std::optional<Variant>> variants;
  variants.reserve(directory.entries.size());
  std::map<std::string, CpuLevel> best; // of the paths that have variants which run here
  bool any = false;
  for (const Entry& entry : directory.entries) {
    auto variant = variant_of(entry.path);
    any = any || variant;
    if (variant && !variant->path.empty() && variant->level <= level && entry.kind != Kind::directory) {
      auto& known = best[variant->path];
      known = std::max(known, variant->level);
    }
    variants.push_back(std::move(variant));
  }
  if (!any) return directory;

  Directory chosen;
  chosen.entries.reserve(directory.entries.size());
  for (std::size_t i = 0; i < variants.size(); ++i) {
    Entry& entry = directory.entries[i];
    const std::string& path = variants[i] ? variants[i]->path : entry.path;
    const auto found = best.find(path);
    if (variants[i]) {
      const bool is_best = found != best.end() && found->second == variants[i]->level;
      if (!is_best || entry.kind == Kind::directory) continue;
      entry.path = path;
    } else {
      const bool replaced = found != best.end() && entry.kind != Kind::directory; // by a variant
      // Made when something is in it.
      const bool is_folder =
          entry.kind == Kind::directory && (entry.path + '/').ends_with('/' + std::string(folder));
      if (replaced || is_folder) continue;
    }
    if (entry.kind == Kind::file) chosen.size += entry.size; // a part of a sum that has been checked
    chosen.entries.push_back(std::move(entry));
  }
  TMPDUMP_CHECK(check_paths(chosen.entries));
  return chosen;
}

} // namespace tmpdump::zip
