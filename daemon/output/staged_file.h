// SPDX-License-Identifier: Apache-2.0
// A staged file's inside. Internal to this module.
#pragma once

#include "output/directories.h"

namespace tmpdump::output {

struct StagedFile::State {
  std::shared_ptr<const Directories> directories;
  UniqueFd fd;
  std::string name; // in stage; empty once it has been renamed
  std::string path; // in DEST
  mode_t mode = 0;

  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State();
};

// Renames `name` in stage over `path`, whose parents are made; an empty directory in its place goes.
result<void> move_into_place(const Directories& directories, const std::string& name, std::string_view path);

} // namespace tmpdump::output
