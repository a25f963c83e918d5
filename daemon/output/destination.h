// SPDX-License-Identifier: Apache-2.0
// The directory that receives the files. A file is staged in DEST/.tmpdump/stage, verified by the caller, and
// renamed into place; nothing is ever visible half-written, no path component is followed through a symlink
// out of DEST (openat2 RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS for parents, or a walk with O_NOFOLLOW on
// kernels before 5.6).
#pragma once

#include "base/bytes.h"
#include "base/error.h"
#include "base/unique_fd.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <sys/types.h>

namespace tmpdump::output {

class Destination;
struct Directories;

// A file being written. One thread at a time. Destroyed without publish(): removed. Keeps the destination's
// descriptors and its lock, so it may outlive the Destination.
class StagedFile {
public:
  StagedFile(StagedFile&&) noexcept;
  StagedFile& operator=(StagedFile&&) noexcept;
  StagedFile(const StagedFile&) = delete;
  StagedFile& operator=(const StagedFile&) = delete;
  ~StagedFile();

  result<void> write_at(std::uint64_t offset, Bytes bytes); // whole, EINTR and short writes handled
  // Sets the mode, closes, makes parents, renames over `path` (an existing file, symlink or empty directory
  // is replaced, a directory with something in it is an error). Nothing is synced to the disk: a file is
  // whole for whoever opens it, not for whoever pulls the plug. Afterwards the object is empty; after a
  // failure it is as before, but closed.
  result<void> publish();

private:
  friend class Destination;
  StagedFile() = default;
  struct State;
  std::unique_ptr<State> state_;
};

// How parents are found without following symlinks.
enum class PathLookup {
  best, // openat2 where the kernel has it
  walk, // component by component, as on kernels before 5.6 and under seccomp filters without openat2
};

// Of a file or symlink; an inode alone may be somebody else's file by now.
struct Identity {
  std::uint64_t inode = 0;
  std::int64_t mtime_ns = 0; // since 1970
};

// Thread-safe after open(): all members are const and share only descriptors and an atomic counter.
//
// Paths are those of zip::Entry::path. What no archive entry may be called (absolute, with "." or "..", or
// inside .tmpdump) is refused here again.
class Destination {
public:
  // Makes DEST (one level; a symlink to a directory is the user's choice and followed once), DEST/.tmpdump
  // and DEST/.tmpdump/stage (both 0700), and removes what a killed predecessor left in stage. One
  // Destination at a time for a directory: it holds a lock that dies with its process; the second is refused.
  static result<Destination> open(const std::string& path, PathLookup lookup = PathLookup::best);
  Destination(Destination&&) noexcept;
  Destination& operator=(Destination&&) noexcept;
  Destination(const Destination&) = delete;
  Destination& operator=(const Destination&) = delete;
  ~Destination();

  // `size` bytes are reserved where the file system can (fails early with no_space). `mode` is exact,
  // whatever the umask.
  [[nodiscard]] result<StagedFile> stage(std::string_view path, mode_t mode, std::uint64_t size) const;
  // Exists already: mode set. Exact, so a directory that its owner may not write comes after its files.
  // Parents that nobody made explicitly get 0755.
  [[nodiscard]] result<void> make_directory(std::string_view path, mode_t mode) const;
  // An existing directory that keeps its owner out is opened to it (0700 beside what it has), for what has to
  // be done in it. Whatever else is there, or nothing, or what is out of reach, is left alone.
  [[nodiscard]] result<void> open_directory(std::string_view path) const;
  [[nodiscard]] result<void> make_symlink(std::string_view path,
                                          std::string_view target) const; // staged and renamed too
  // A file or symlink that still is this one, or a directory that is empty. Whatever else is there, or
  // nothing, is left alone. A failure: it may still be there.
  [[nodiscard]] result<void> remove(std::string_view path, const Identity& identity) const;
  [[nodiscard]] result<std::uint64_t> free_space() const; // bytes available to us (statvfs f_bavail)
  // Removes DEST/.tmpdump/stage with all that is staged, and DEST/.tmpdump when it is empty: `tmpdump fetch`
  // leaves nothing of its own. The last call: nothing can be staged afterwards.
  void clean_up() const;
  [[nodiscard]] const std::string& path() const;

private:
  Destination() = default;
  std::shared_ptr<const Directories> directories_;
};

} // namespace tmpdump::output
