// SPDX-License-Identifier: Apache-2.0
// What a Destination and its staged files share: descriptors of DEST, DEST/.tmpdump and its stage, and the
// lock. Internal to this module.
#pragma once

#include "output/destination.h"

#include <atomic>
#include <mutex>

namespace tmpdump::output {

struct Directories {
  std::string path; // DEST as given, for messages
  UniqueFd dest;
  UniqueFd own;   // DEST/.tmpdump
  UniqueFd stage; // DEST/.tmpdump/stage
  UniqueFd lock;  // DEST/.tmpdump/stage/lock, locked; removed only by its holder
  bool openat2 = false;
  mutable std::atomic<std::uint64_t> next_name{0};
  // From the making of a directory to the setting of its mode: a parent that one thread makes may be an entry
  // with a mode of its own to another. The lock keeps other processes out.
  mutable std::mutex modes;

  // A name in stage that nobody has: leftovers are gone, and the lock keeps others out.
  [[nodiscard]] std::string new_name() const { return std::to_string(next_name.fetch_add(1)); }
};

inline constexpr char own_name[] = ".tmpdump";

result<std::shared_ptr<const Directories>> open_directories(const std::string& path, PathLookup lookup);
void remove_staged(const Directories& directories);      // all but the lock
void remove_directories(const Directories& directories); // stage, lock, and .tmpdump if empty

// "VERB 'PATH' in 'DEST': reason", with advice where there is any.
Failure path_failure(const Directories& directories, std::string_view verb, std::string_view path, int error);

} // namespace tmpdump::output
