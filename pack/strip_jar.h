// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/globs.h"

#include <optional>
#include <string>

namespace tmpdump::pack {

struct StripJarArguments {
  std::string jar;
  std::optional<std::string> output; // none: in place
  cli::Globs what;                   // none: default_strip_globs()
  bool drop_signatures = false;
  bool quiet = false;
};

// What a tmpdump replaces, and what is of no use at run time, of JavaCPP's modules:
// org/bytedeco/**/*.{so*,a,xml,h,hpp} and the jars' copies of them for other platforms.
const cli::Globs& default_strip_globs();

// `tmpdump strip-jar`: a jar without them, everything else byte for byte; in the jars inside of it too, which
// keep their method of compression. The exit status.
int run_strip_jar(const StripJarArguments& arguments);

} // namespace tmpdump::pack
