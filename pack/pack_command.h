// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "pack/pack.h"
#include "pack/sources.h"

#include <optional>
#include <string>

namespace tmpdump::pack {

struct PackArguments {
  SourceOptions sources;
  std::string output;
  std::optional<std::string> log;     // a JavaCPP debug log
  std::optional<std::string> profile; // the order of the entries
  std::vector<std::string> variants;  // "x86-64-v3=DIR_OR_JAR"
  std::optional<int> level;
  std::optional<std::uint64_t> segment_bytes;
  unsigned threads = 0;
  bool deflate = false;
  bool fast = false;
  bool strip = false;
  bool quiet = false;
};

// `tmpdump pack`: the exit status. Progress and errors go to stderr, the report to stdout.
int run_pack(const PackArguments& arguments);

} // namespace tmpdump::pack
