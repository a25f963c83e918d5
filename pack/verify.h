// SPDX-License-Identifier: Apache-2.0
// Everything for which the reader in the function would refuse an archive, found on the build machine.
#pragma once

#include "config/options.h"
#include "pack/archive_file.h"
#include "pack/interrupt.h"

#include <string>
#include <vector>

namespace tmpdump::pack {

struct Verification {
  std::vector<std::string> findings; // each names its entry; empty: the archive is good
  std::size_t entries = 0;
  std::size_t segmented = 0;  // entries that are cut into segments
  std::uint64_t unpacked = 0; // bytes decoded
};

// Directory, local headers, contents, CRCs, segments, links. Goes on after a finding. Fails only where
// nothing can be said: the file cannot be read, or the run is interrupted.
result<Verification> verify(const ArchiveFile& archive, const Interrupt& interrupt);

struct VerifyArguments {
  config::Overrides overrides; // source, and how to reach it
  bool quiet = false;
};

// `tmpdump verify`: the exit status. Findings go to stderr, one a line, and make it 4.
int run_verify(const VerifyArguments& arguments);

} // namespace tmpdump::pack
