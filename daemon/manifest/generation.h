// SPDX-License-Identifier: Apache-2.0
// A generation of the manifest: its file's beginning, its growth, and its end.
#pragma once

#include "base/error.h"
#include "base/unique_fd.h"
#include "manifest/files.h"

#include <cstdint>
#include <string>

namespace tmpdump::manifest {

struct Generation {
  UniqueFd file;
  Mapping header; // the first TMPDUMP_MANIFEST_HEADER_SIZE bytes
};

// Makes a file in state "starting", keeps the old one as the previous one if it has a listing, puts the new
// one at the manifest's name, and tells the old one's waiters. `run`: the header of the generation that this
// one goes on for, null when a daemon begins. The caller holds the lock.
result<Generation> begin_generation(const Directories& directories, std::uint64_t number,
                                    std::string_view uri, const tmpdump_manifest_header* run);

// Blocks now: a hole in a file on a full disk is a SIGBUS at the first touch, in us and in every client.
result<void> allocate(int fd, std::uint64_t size);

// `state` in the header first, so that whoever an entry wakes finds it there; every pending entry becomes
// `entry_state`, so that who goes to sleep at this moment does not.
void end_generation(const tmpdump_view& view, tmpdump_manifest_state state,
                    tmpdump_manifest_entry_state entry_state);

} // namespace tmpdump::manifest
