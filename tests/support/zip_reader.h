// SPDX-License-Identifier: Apache-2.0
// Reads a whole archive from memory in the way the prefetch does, every check included, and hands out what it
// got: for tests that ask whether an archive as a whole is accepted, and as what.
#pragma once

#include "base/error.h"
#include "zip/directory.h"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace tmpdump::test {

// Follows NeedMore, beginning with a tail of `tail` bytes.
result<zip::DirectoryLocation> locate(std::string_view file, std::size_t tail = SIZE_MAX);

result<zip::Directory> read_directory(std::string_view file, const zip::Limits& limits = {});

// Path to content (a symlink's target, nothing for a directory).
using Contents = std::map<std::string, std::string>;
result<Contents> unpack(std::string_view file);

// The failure's message, or "accepted".
template <class T>
std::string refusal(const result<T>& outcome) {
  return outcome.has_error() ? outcome.error().message : std::string("accepted");
}

} // namespace tmpdump::test
