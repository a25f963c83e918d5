// SPDX-License-Identifier: Apache-2.0
// What the dynamic loader will want: names in ELF files, links for versions, one copy of the same file.
#pragma once

#include "pack/item.h"
#include "pack/sources.h"
#include "pack/system_libraries.h"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace tmpdump::pack {

struct Library {
  bool is_elf = false; // of a machine that Lambda has
  std::string soname;
  std::vector<std::string> needed;
};
// By the item's path; files alone.
using Libraries = std::map<std::string, Library>;

struct Missing {
  std::string name;
  std::vector<std::string> needed_by; // paths, sorted
  SystemLibrary system;
};

// Reads the names in every file. Fails for a damaged ELF file, and for what is named like a library but is
// none: a text in its place (a linker script, a pointer of Git LFS) would be found out in the function only.
result<Libraries> read_libraries(Collected& collected);

// `paths` and what they need of the items, by DT_NEEDED and through links.
std::set<std::string> closure(const std::vector<Item>& items, const Libraries& libraries,
                              std::set<std::string> paths);

// A second file of the same bytes becomes a relative link to the first one; in a folder of CPU variants, one
// that is the same as the base library is left out (published at the base's place, a link would lead to
// itself). glibc tells libraries apart by device and inode, so what is opened by both names is loaded once.
// Files below 4 KiB stay.
result<void> store_once(Collected& collected, const Libraries& libraries);

// A link for each name that is needed, is not there, and is another version name of a library that is:
// libx.so.4 -> libx.so. Also for each of `wanted`, names with the names of the files that they stand for.
void add_version_links(Collected& collected, const Libraries& libraries,
                       const std::map<std::string, std::string>& wanted);

// What is needed and neither there nor certainly in Amazon Linux, sorted by name.
std::vector<Missing> find_missing(const std::vector<Item>& items, const Libraries& libraries);

} // namespace tmpdump::pack
