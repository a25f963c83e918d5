// SPDX-License-Identifier: Apache-2.0
#include "manifest/dependencies.h"

#include <algorithm>
#include <utility>

namespace tmpdump::manifest {

namespace {

// "a/b/c" -> {"a/b", "c"}; "c" -> {"", "c"}
std::pair<std::string_view, std::string_view> split(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return {{}, path};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

// `target` as seen from `directory`, as text; nullopt when it leads out of the archive.
std::optional<std::string> resolve(std::string_view directory, std::string_view target) {
  if (target.starts_with('/')) return std::nullopt;
  std::string path(directory);
  while (!target.empty()) {
    const std::size_t slash = std::min(target.find('/'), target.size());
    const std::string_view part = target.substr(0, slash);
    target.remove_prefix(std::min(slash + 1, target.size()));
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      if (path.empty()) return std::nullopt;
      path = std::string(split(path).first);
      continue;
    }
    if (!path.empty()) path.push_back('/');
    path.append(part);
  }
  return path;
}

} // namespace

Dependencies::Dependencies(std::span<const ListedEntry> entries) : entries_(entries) {
  by_path_.reserve(entries.size());
  by_file_name_.reserve(entries.size());
  for (std::uint32_t i = 0; i < entries.size(); ++i) {
    by_path_.emplace(entries[i].path, i);
    for (std::string_view path = entries[i].path; !path.empty();) {
      path = split(path).first;
      if (!parents_.insert(path).second) break; // then those above it are there too
    }
    if (entries[i].kind != zip::Kind::directory) by_file_name_.emplace(split(entries[i].path).second, i);
  }
}

std::vector<std::uint32_t> Dependencies::of_library(std::uint32_t entry,
                                                    std::span<const std::string> needed) const {
  const std::string_view directory = split(entries_[entry].path).first;
  // Each name once: different ones have no entry in common, so no more is found than there are entries.
  std::vector<std::string_view> file_names;
  file_names.reserve(needed.size());
  for (const std::string& name : needed)
    file_names.push_back(split(name).second);
  std::sort(file_names.begin(), file_names.end());
  file_names.erase(std::unique(file_names.begin(), file_names.end()), file_names.end());
  std::vector<std::uint32_t> found;
  for (const std::string_view file_name : file_names) {
    const auto [first, last] = by_file_name_.equal_range(file_name);
    const auto beside = std::find_if(
        first, last, [&](const auto& it) { return split(entries_[it.second].path).first == directory; });
    if (beside != last) {
      found.push_back(beside->second);
    } else {
      std::for_each(first, last, [&](const auto& it) { found.push_back(it.second); });
    }
  }
  std::sort(found.begin(), found.end());
  std::erase(found, entry);
  return found;
}

std::optional<std::vector<std::uint32_t>> Dependencies::of_link(std::uint32_t entry,
                                                                std::string_view target) const {
  const auto path = resolve(split(entries_[entry].path).first, target);
  if (!path) return std::vector<std::uint32_t>{};
  for (std::string_view parent = split(*path).first; !parent.empty(); parent = split(parent).first) {
    const auto link = by_path_.find(parent);
    if (link != by_path_.end() && entries_[link->second].kind == zip::Kind::symlink) return std::nullopt;
  }
  const auto found = by_path_.find(*path);
  if (found == by_path_.end() && parents_.contains(*path)) return std::nullopt;
  if (found == by_path_.end() || found->second == entry) return std::vector<std::uint32_t>{};
  return std::vector<std::uint32_t>{found->second};
}

} // namespace tmpdump::manifest
