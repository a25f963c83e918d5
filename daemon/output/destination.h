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

// A file being written. One thread at a time. Destroyed without publish(): removed.
class StagedFile {
public:
  StagedFile(StagedFile&&) noexcept;
  StagedFile& operator=(StagedFile&&) noexcept;
  StagedFile(const StagedFile&) = delete;
  StagedFile& operator=(const StagedFile&) = delete;
  ~StagedFile();

  result<void> write_at(std::uint64_t offset, Bytes bytes); // whole, EINTR and short writes handled
  // Sets the mode, closes, makes parents, renames over `path` (an existing file or symlink is replaced, an
  // existing directory is an error). Afterwards the object is empty.
  result<void> publish();

private:
  friend class Destination;
  StagedFile() = default;
  struct State;
  std::unique_ptr<State> state_;
};

// Thread-safe after open(): all members are const and share only descriptors and an atomic counter.
class Destination {
public:
  // Makes DEST (one level) and DEST/.tmpdump/stage (0700), removes what a killed predecessor left in stage.
  static result<Destination> open(const std::string& path);
  Destination(Destination&&) noexcept;
  Destination& operator=(Destination&&) noexcept;
  Destination(const Destination&) = delete;
  Destination& operator=(const Destination&) = delete;
  ~Destination();

  // `path` as in zip::Entry::path. `size` bytes are reserved where the file system can (fails early with
  // no_space).
  [[nodiscard]] result<StagedFile> stage(std::string_view path, mode_t mode, std::uint64_t size) const;
  [[nodiscard]] result<void> make_directory(std::string_view path,
                                            mode_t mode) const; // exists already: mode set
  [[nodiscard]] result<void> make_symlink(std::string_view path,
                                          std::string_view target) const; // staged and renamed too
  [[nodiscard]] result<std::uint64_t> free_space() const; // bytes available to us (statvfs f_bavail)
  // Removes DEST/.tmpdump/stage, and DEST/.tmpdump when it is empty: `tmpdump fetch` leaves nothing of its
  // own.
  void clean_up() const;
  [[nodiscard]] const std::string& path() const;

private:
  Destination() = default;
  struct State;
  std::unique_ptr<State> state_;
};

} // namespace tmpdump::output
