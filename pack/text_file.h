// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/unique_fd.h"
#include "pack/text.h"

#include <array>
#include <cerrno>
#include <fcntl.h>

namespace tmpdump::pack {

inline constexpr std::size_t max_text_file = std::size_t{256} << 20U;

// A profile, a log: whole, at most `max_text_file` bytes.
inline result<std::string> read_text_file(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return system_failure("open " + quote(path), errno);
  std::string text;
  std::array<char, 65536> buffer{};
  for (;;) {
    const ssize_t count = ::read(fd.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_failure("read " + quote(path), errno);
    if (count == 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(count));
    if (text.size() > max_text_file) return Failure{Errc::usage, quote(path) + " is longer than 256 MiB"};
  }
}

} // namespace tmpdump::pack
