// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/globs.h"

#include <optional>
#include <string>

namespace tmpdump::pack {

struct RefineArguments {
  std::string archive;
  std::optional<std::string> output; // none: in place
  cli::Globs include, exclude;
  std::optional<std::string> profile;
  bool dry_run = false;
  bool quiet = false;
};

// `tmpdump refine`: an archive with fewer entries, or others first, without compressing anything again. The
// exit status.
int run_refine(const RefineArguments& arguments);

} // namespace tmpdump::pack
