// SPDX-License-Identifier: Apache-2.0
#include "prefetch/symlinks.h"

#include <algorithm>
#include <deque>
#include <unordered_map>
#include <vector>

namespace tmpdump::prefetch {

namespace {

// As the kernel's MAXSYMLINKS.
constexpr unsigned max_expansions = 40;

std::vector<std::string_view> split(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    const auto slash = std::min(path.find('/'), path.size());
    if (const auto part = path.substr(0, slash); !part.empty() && part != ".") parts.push_back(part);
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
  return parts;
}

std::string join(const std::vector<std::string>& parts) {
  std::string out;
  for (const auto& part : parts)
    out.append(out.empty() ? "" : "/").append(part);
  return out;
}

} // namespace

bool climbs_first(std::string_view target) {
  bool descended = false;
  for (const auto part : split(target)) {
    if (part == ".." && descended) return false;
    descended = descended || part != "..";
  }
  return true;
}

result<void> check_symlinks_together(std::span<const Symlink> links) {
  std::unordered_map<std::string_view, std::string_view> targets;
  for (const auto& link : links)
    targets.emplace(link.entry->path, link.target);
  for (const auto& link : links) {
    const auto refuse = [&](std::string_view why) {
      return Failure{Errc::bad_archive, "entry '" + printable(link.entry->path) + "': the symlink to '" +
                                            printable(link.target) + "' " + std::string(why)};
    };
    std::vector<std::string> place; // components from the destination down
    for (const auto part : split(link.entry->path))
      place.emplace_back(part);
    place.pop_back();
    std::deque<std::string_view> rest;
    for (const auto part : split(link.target))
      rest.push_back(part);
    unsigned expansions = 0;
    while (!rest.empty()) {
      const auto part = rest.front();
      rest.pop_front();
      if (part == "..") {
        if (place.empty()) return refuse("leaves the destination");
        place.pop_back();
        continue;
      }
      place.emplace_back(part);
      const auto next = targets.find(join(place));
      if (next == targets.end()) continue;
      // A loop is harmless: opening it fails. What is known by then has stayed inside.
      if (++expansions > max_expansions) break;
      place.pop_back();
      const auto parts = split(next->second);
      rest.insert(rest.begin(), parts.begin(), parts.end());
    }
  }
  return {};
}

} // namespace tmpdump::prefetch
