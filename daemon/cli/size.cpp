// SPDX-License-Identifier: Apache-2.0
#include "cli/size.h"

#include <charconv>
#include <cmath>
#include <cstdio>

namespace tmpdump::cli {

std::string format_size(std::uint64_t bytes) {
  if (bytes < 1000) return std::to_string(bytes) + " B";
  double value = static_cast<double>(bytes);
  const char* unit = "";
  for (const char* next : {"kB", "MB", "GB", "TB"}) {
    if (value < 999.95) break;
    value /= 1000;
    unit = next;
  }
  char buffer[32];
  (void)std::snprintf(buffer, sizeof buffer, "%.1f %s", value, unit);
  return buffer;
}

std::string format_seconds(double seconds) {
  char buffer[48];
  if (seconds < 60) {
    (void)std::snprintf(buffer, sizeof buffer, "%.2f s", seconds);
  } else {
    const auto whole = static_cast<long>(seconds);
    (void)std::snprintf(buffer, sizeof buffer, "%ld min %02ld s", whole / 60, whole % 60);
  }
  return buffer;
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
  double number = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (error != std::errc{} || number < 0) return std::nullopt;
  const std::string_view suffix = text.substr(static_cast<std::size_t>(end - text.data()));
  double unit = 1;
  if (!suffix.empty()) {
    const auto power = std::string_view("KMGT").find(suffix[0] == 'k' ? 'K' : suffix[0]);
    const std::string_view rest = suffix.substr(1);
    if (power == std::string_view::npos || (!rest.empty() && rest != "B" && rest != "iB"))
      return std::nullopt;
    unit = std::pow(rest == "B" ? 1000.0 : 1024.0, static_cast<double>(power + 1));
  }
  const double bytes = number * unit;
  if (!(bytes < 9.2e18)) return std::nullopt;
  return static_cast<std::uint64_t>(bytes);
}

} // namespace tmpdump::cli
