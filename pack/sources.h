// SPDX-License-Identifier: Apache-2.0
// From what a person names to the items of an archive.
#pragma once

#include "cli/globs.h"
#include "pack/interrupt.h"
#include "pack/item.h"
#include "pack/workspace.h"

#include <optional>
#include <string>
#include <vector>

namespace tmpdump::pack {

struct Variant {
  std::string level;  // "x86-64-v3"
  std::string source; // a directory or a jar
};

struct SourceOptions {
  // A directory (below its own name; "." and "DIR/." below none), a file (a library goes to lib/), a jar (its
  // natives to lib/). "SOURCE=PLACE" puts it there instead.
  std::vector<std::string> sources;
  std::string class_path; // as java -cp takes it; its jars count
  std::string platform = "linux-x86_64";
  std::vector<Variant> variants;
  cli::Globs include, exclude; // on the paths in the archive
  bool default_excludes = true;
};

struct Collected {
  std::vector<Item> items; // sorted by path, each path once, no parents missing between a link and a file
  std::vector<LeftOut> left_out;
  std::vector<std::string> notes; // what was done differently from what the source has
};

// What is never wanted at run time: static libraries, headers, locks, Python's modules, build systems' files.
// Empty: the path is not such a thing; else the reason.
std::string_view default_exclusion(std::string_view path);

// For which CPUs a jar's folder of natives is: "" for all (PLATFORM), "x86-64-v3" (PLATFORM-avx2),
// "x86-64-v4" (PLATFORM-avx512): JavaCPP's extensions of a platform, of ND4J's classifier jars and others.
// None: another platform's.
std::optional<std::string_view> native_level(std::string_view folder, std::string_view platform);

// Reads directories and unpacks jars' natives into `workspace`. `output`: the file that is to be written,
// which is not packed into itself.
result<Collected> collect(const SourceOptions& options, const std::string& output, Workspace& workspace,
                          const Interrupt& interrupt);

// Have the two files, of one size, the same bytes?
result<bool> same_bytes(const Item& a, const Item& b);

} // namespace tmpdump::pack
