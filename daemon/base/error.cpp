// SPDX-License-Identifier: Apache-2.0
#include "base/error.h"

#include "printable.h"

#include <algorithm>
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

std::string printable(std::string_view text, std::size_t limit) {
  static constexpr char digits[] = "0123456789abcdef";
  const bool cut = text.size() > limit;
  if (cut) text = text.substr(0, limit);
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = tmpdump_printable_length(text.data(), text.size());
    const auto byte = static_cast<std::uint8_t>(text[0]);
    if (length == 0) {
      out.append({'\\', 'x', digits[byte >> 4U], digits[byte & 15U]});
    } else if (byte == '"' || byte == '\\') {
      out.append({'\\', text[0]});
    } else {
      out.append(text.substr(0, length));
    }
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  if (cut) out.append("...");
  return out;
}

void throw_exception_from_error(const Failure& failure, const boost::source_location& /*where*/) {
  throw FailureException(failure);
}

} // namespace tmpdump
