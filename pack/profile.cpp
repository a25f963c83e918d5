// SPDX-License-Identifier: Apache-2.0
#include "pack/profile.h"

#include "pack/text_file.h"

#include <algorithm>
#include <unordered_map>

namespace tmpdump::pack {

std::vector<std::string> parse_profile(std::string_view text) {
  std::vector<std::string> paths;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    line = line.substr(0, line.find('#'));
    const std::size_t begin = line.find_first_not_of(" \t\r");
    if (begin == std::string_view::npos) continue;
    line = line.substr(begin, line.find_last_not_of(" \t\r") - begin + 1);
    if (line.starts_with("/tmp/")) line.remove_prefix(5);
    if (line.empty()) continue; // "/tmp/" itself is no file
    paths.emplace_back(line);
  }
  return paths;
}

result<std::vector<std::string>> read_profile(const std::string& file) {
  TMPDUMP_TRY(const std::string text, read_text_file(file));
  return parse_profile(text);
}

Order order_by(const std::vector<std::string>& profile, const std::vector<std::string>& paths) {
  std::unordered_map<std::string_view, std::size_t> places;
  for (std::size_t i = 0; i < paths.size(); ++i)
    places.emplace(paths[i], i);
  Order order;
  std::vector<bool> taken(paths.size());
  for (const std::string& path : profile) {
    const auto found = places.find(path);
    if (found == places.end()) {
      order.unknown.push_back(path);
    } else if (!taken[found->second]) {
      taken[found->second] = true;
      order.positions.push_back(found->second);
    }
  }
  for (std::size_t i = 0; i < paths.size(); ++i) {
    if (!taken[i]) order.positions.push_back(i);
  }
  return order;
}

} // namespace tmpdump::pack
