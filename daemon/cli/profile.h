// SPDX-License-Identifier: Apache-2.0
// In which order a function uses the files of its archive: what to pack first, and what to leave out. Pure.
#pragma once

#include "cli/snapshot.h"

#include <string>
#include <vector>

namespace tmpdump::cli {

// Files and symbolic links; directories are not asked for by themselves.
struct Profile {
  std::vector<const manifest::EntryStatus*> used;   // by first use
  std::vector<const manifest::EntryStatus*> unused; // largest first
  bool waited_for_everything = false; // somebody waited for all at once, which tells nothing of single files
};
// Points into `snapshot`.
Profile profile_of(const Snapshot& snapshot);

// A table for people.
std::string render_profile(const Snapshot& snapshot, const Profile& profile);
// One JSON object: {"destination", "uri", "etag", "waited_for_everything", "used": [{"path", "size",
// "first_use_after_ns", "waited_ns"}], "unused": [{"path", "size"}]}. Without a line end.
std::string render_profile_json(const Snapshot& snapshot, const Profile& profile);
// For `tmpdump pack --profile`: a path a line in the order of first use, '#' begins a comment. A path that
// such a line cannot hold is a comment.
std::string render_profile_file(const Snapshot& snapshot, const Profile& profile);

} // namespace tmpdump::cli
