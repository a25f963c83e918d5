// SPDX-License-Identifier: Apache-2.0
#include "base/error.h"

#include <cerrno>
#include <cstdint>
#include <cstring>

namespace tmpdump {

std::string_view name(Errc code) {
  switch (code) {
  case Errc::usage:
    return "Usage";
  case Errc::not_found:
    return "NotFound";
  case Errc::denied:
    return "AccessDenied";
  case Errc::bad_archive:
    return "BadArchive";
  case Errc::changed:
    return "ObjectChanged";
  case Errc::network:
    return "Network";
  case Errc::timeout:
    return "Timeout";
  case Errc::no_space:
    return "NoSpace";
  case Errc::io:
    return "IO";
  case Errc::cancelled:
    return "Cancelled";
  }
  return "Unknown";
}

int exit_status(Errc code) {
  switch (code) {
  case Errc::usage:
    return 2;
  case Errc::not_found:
    return 3;
  case Errc::bad_archive:
    return 4;
  case Errc::denied:
    return 5;
  default:
    return 1;
  }
}

Failure system_failure(std::string_view what, int error_number) {
  Errc code = Errc::io;
  switch (error_number) {
  case ENOSPC:
  case EDQUOT:
    code = Errc::no_space;
    break;
  case ENOENT:
    code = Errc::not_found;
    break;
  case EACCES:
  case EPERM:
    code = Errc::denied;
    break;
  default:
    break;
  }
  char buffer[128];
  // GNU strerror_r: thread-safe, returns the text, which may or may not be `buffer`.
  return {code, std::string(what).append(": ").append(strerror_r(error_number, buffer, sizeof buffer))};
}

Failure local(Failure failure) {
  if (failure.code == Errc::not_found || failure.code == Errc::denied) failure.code = Errc::io;
  return failure;
}

namespace {

// Length of the valid UTF-8 sequence at the front of `text` (RFC 3629: no overlong forms, no surrogates),
// else 0.
std::size_t utf8_sequence(std::string_view text) {
  const auto at = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const auto continues = [&](std::size_t i) { return i < text.size() && (at(i) & 0xC0U) == 0x80U; };
  const std::uint8_t lead = at(0);
  if (lead < 0x80U) return 1;
  if (lead >= 0xC2U && lead <= 0xDFU) return continues(1) ? 2 : 0;
  if (lead >= 0xE0U && lead <= 0xEFU) {
    if (!continues(1) || !continues(2)) return 0;
    if (lead == 0xE0U && at(1) < 0xA0U) return 0;
    if (lead == 0xEDU && at(1) > 0x9FU) return 0;
    return 3;
  }
  if (lead >= 0xF0U && lead <= 0xF4U) {
    if (!continues(1) || !continues(2) || !continues(3)) return 0;
    if (lead == 0xF0U && at(1) < 0x90U) return 0;
    if (lead == 0xF4U && at(1) > 0x8FU) return 0;
    return 4;
  }
  return 0;
}

} // namespace

std::string printable(std::string_view text, std::size_t limit) {
  static constexpr char digits[] = "0123456789abcdef";
  const bool cut = text.size() > limit;
  if (cut) text = text.substr(0, limit);
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = utf8_sequence(text);
    const auto byte = static_cast<std::uint8_t>(text[0]);
    // C1 control characters (U+0080 to U+009F) act on terminals too: C2 80..9F in UTF-8.
    const bool c1 = length == 2 && byte == 0xC2U && static_cast<std::uint8_t>(text[1]) < 0xA0U;
    if (length > 1 && !c1) {
      out.append(text.substr(0, length));
      text.remove_prefix(length);
      continue;
    }
    if (length == 1 && (byte == '"' || byte == '\\')) {
      out.append({'\\', text[0]});
    } else if (length == 1 && byte >= 0x20U && byte != 0x7FU) {
      out.push_back(text[0]);
    } else {
      out.append({'\\', 'x', digits[byte >> 4U], digits[byte & 15U]});
    }
    text.remove_prefix(1);
  }
  if (cut) out.append("...");
  return out;
}

void throw_exception_from_error(const Failure& failure, const boost::source_location& /*where*/) {
  throw FailureException(failure);
}

} // namespace tmpdump
