// SPDX-License-Identifier: Apache-2.0
// What a directory holds, as a value that two can be compared by.
#pragma once

#include <compare>
#include <map>
#include <string>
#include <sys/types.h>

namespace tmpdump::test {

struct Node {
  enum class Kind { file, directory, symlink };
  Kind kind = Kind::file;
  mode_t mode = 0;     // permission bits; 0 for symlinks
  std::string content; // or a symlink's target
  auto operator<=>(const Node&) const = default;
};

// By path below the root, '/'-separated. DEST/.tmpdump is no part of it.
using Tree = std::map<std::string, Node>;

Tree read_tree(const std::string& directory); // nothing where there is no directory
// With 0755 for the parents that nobody named.
Tree with_parents(Tree tree);

// "" when equal, else the first few paths that are missing, too many, or other than expected.
std::string difference(const Tree& actual, const Tree& expected);
// The same for a run that was stopped: what is missing is fine, and so are a directory's mode and directories
// that are not finished; what is there must be whole.
std::string damage(const Tree& actual, const Tree& expected);

} // namespace tmpdump::test
