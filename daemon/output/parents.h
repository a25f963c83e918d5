// SPDX-License-Identifier: Apache-2.0
// From an entry's path to an open directory and a name in it, never through a symlink. Internal.
#pragma once

#include "output/directories.h"

#include <optional>

namespace tmpdump::output {

struct Place {
  UniqueFd owned;     // none when the directory is DEST itself
  int directory = -1; // O_PATH or not: for the *at calls
  std::string name;
};

// Does this kernel (and its seccomp filter) have openat2 with the RESOLVE_ flags?
bool have_openat2(int directory);

// Refuses what no archive entry may be called.
result<void> check_path(const Directories& directories, std::string_view path);

// Makes missing parents with mode 0755. `path` has passed check_path().
result<Place> find_place(const Directories& directories, std::string_view path);

// The same without making anything. Nothing: there is no such directory, or it could not be opened; errno
// says.
std::optional<Place> find_existing(const Directories& directories, std::string_view path);

// Why `name` in `directory`, reached as `path`, is not the directory that was expected.
Failure not_a_directory(const Directories& directories, int directory, const std::string& name,
                        std::string_view path, int error);

} // namespace tmpdump::output
