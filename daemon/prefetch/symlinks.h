// SPDX-License-Identifier: Apache-2.0
// Symlinks that stay inside the destination. Pure functions on the archive's own names.
#pragma once

#include "base/error.h"
#include "zip/directory.h"

#include <span>
#include <string>
#include <string_view>

namespace tmpdump::prefetch {

struct Symlink {
  const zip::Entry* entry = nullptr;
  std::string target;
};

// True for "../../a/b": ".." only at the front. Such a target descends after it has climbed from the link's
// real directory, so whatever other links it meets (which obey the same rules), it cannot leave: it may be
// made at once.
bool climbs_first(std::string_view target);

// For targets with ".." after a name ("a/../../x"): follows them through all symlinks of the archive, as the
// kernel would. `links` holds every symlink of the archive. The failure names the link that leaves the
// destination or loops.
result<void> check_symlinks_together(std::span<const Symlink> links);

} // namespace tmpdump::prefetch
