// SPDX-License-Identifier: Apache-2.0
#include "net/hosts_file.h"

#include <algorithm>
#include <fstream>

namespace tmpdump::net {
namespace {

constexpr std::string_view blanks = " \t\r\v\f";

// Cuts the next word off the front of `line`; empty at its end.
std::string_view next_word(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(blanks), line.size()));
  const std::string_view word = line.substr(0, line.find_first_of(blanks));
  line.remove_prefix(word.size());
  return word;
}

bool same_name(std::string_view written, std::string_view lower) {
  const auto to_lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::equal(written.begin(), written.end(), lower.begin(), lower.end(),
                    [&](char a, char b) { return to_lower(a) == b; });
}

} // namespace

Addresses find_in_hosts(std::string_view text, std::string_view name) {
  Addresses found;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    line = line.substr(0, line.find('#'));
    boost::system::error_code bad;
    const auto address = boost::asio::ip::make_address(next_word(line), bad);
    if (bad) continue;
    for (auto word = next_word(line); !word.empty(); word = next_word(line)) {
      if (!same_name(word, name)) continue;
      if (std::find(found.begin(), found.end(), address) == found.end()) found.push_back(address);
      break;
    }
  }
  return found;
}

Addresses look_up_hosts_file(const std::string& file, std::string_view name) {
  constexpr std::size_t limit = std::size_t{1} << 20U;
  std::ifstream in(file, std::ios::binary);
  if (!in) return {};
  std::string text;
  char block[4096];
  while (text.size() < limit && (in.read(block, sizeof block), in.gcount() > 0)) {
    text.append(block, static_cast<std::size_t>(in.gcount()));
  }
  return find_in_hosts(text, name);
}

} // namespace tmpdump::net
