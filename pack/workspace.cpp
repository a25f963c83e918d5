// SPDX-License-Identifier: Apache-2.0
#include "pack/workspace.h"

#include "pack/text.h"

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace tmpdump::pack {

Workspace::~Workspace() {
  std::error_code ignored;
  if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
}

result<std::string> Workspace::new_file() {
  if (folder_.empty()) {
    const char* const place = std::getenv("TMPDIR");
    std::string folder =
        (place != nullptr && *place != '\0' ? std::string(place) : "/tmp") + "/tmpdump-pack-XXXXXX";
    if (::mkdtemp(folder.data()) == nullptr)
      return system_failure("make a folder in TMPDIR: " + quote(folder), errno);
    folder_ = folder;
  }
  return folder_ + "/" + std::to_string(files_++);
}

} // namespace tmpdump::pack
