// SPDX-License-Identifier: Apache-2.0
#include "cli/json_text.h"

namespace tmpdump::cli {

// ASCII's control characters JSON escapes by itself, but for DEL; what else printable() would escape JSON
// must not carry (not UTF-8), or terminals act on (U+0080 to U+009F).
bool is_exact(const std::string& text) {
  std::string beyond_ascii = text;
  for (char& c : beyond_ascii) {
    if (static_cast<unsigned char>(c) < 0x7FU) c = 'a';
  }
  return printable(beyond_ascii, beyond_ascii.size()) == beyond_ascii;
}

boost::json::string text_of(const std::string& text) {
  const std::string shown = is_exact(text) ? text : printable(text, text.size());
  return boost::json::string(shown.data(), shown.size());
}

boost::json::value since(const manifest::Status& status, std::uint64_t at_ns) {
  if (at_ns == 0) return nullptr;
  return static_cast<std::int64_t>(at_ns - status.started_ns);
}

} // namespace tmpdump::cli
