// SPDX-License-Identifier: Apache-2.0
// A folder for files that a run makes for itself; gone when the run ends.
#pragma once

#include "base/error.h"

#include <string>

namespace tmpdump::pack {

class Workspace {
public:
  // In $TMPDIR, else /tmp. Made when the first file is asked for.
  Workspace() = default;
  ~Workspace();
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  // The path of a file that does not exist yet.
  result<std::string> new_file();

private:
  std::string folder_;
  std::size_t files_ = 0;
};

} // namespace tmpdump::pack
