// SPDX-License-Identifier: Apache-2.0
// Names in messages.
#pragma once

#include "base/error.h"

#include <string>
#include <string_view>

namespace tmpdump::pack {

// 'lib/libx.so', control characters escaped.
inline std::string quote(std::string_view name) {
  return "'" + printable(name) + "'";
}

// Of what should be a file and may be a URL: the query of a presigned one is a credential.
inline std::string quote_file(std::string_view name) {
  return quote(name.find("://") == std::string_view::npos ? name : name.substr(0, name.find('?')));
}

// "1 file", "2 files".
inline std::string counted(std::size_t count, std::string_view what) {
  return std::to_string(count) + " " + std::string(what) + (count == 1 ? "" : "s");
}

// "libx.so" of "lib/libx.so", and "lib" (nothing for a path without a slash).
inline std::string_view file_name(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}
inline std::string_view directory(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash);
}

} // namespace tmpdump::pack
