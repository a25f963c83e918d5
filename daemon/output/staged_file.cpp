// SPDX-License-Identifier: Apache-2.0
#include "output/staged_file.h"

#include "output/parents.h"

#include <cerrno>
#include <fcntl.h>
#include <limits>
#include <sys/stat.h>

namespace tmpdump::output {

StagedFile::State::~State() {
  if (!name.empty()) static_cast<void>(::unlinkat(directories->stage.get(), name.c_str(), 0));
}

StagedFile::StagedFile(StagedFile&&) noexcept = default;
StagedFile& StagedFile::operator=(StagedFile&&) noexcept = default;
StagedFile::~StagedFile() = default;

result<void> StagedFile::write_at(std::uint64_t offset, Bytes bytes) {
  std::uint64_t end = 0;
  if (!state_ || !state_->fd) return Failure{Errc::io, "write to a file that is no longer open"};
  if (!checked_add(offset, bytes.size(), end) || end > std::numeric_limits<off_t>::max())
    return path_failure(*state_->directories, "write", state_->path, EFBIG);
  while (!bytes.empty()) {
    const ssize_t count = ::pwrite(state_->fd.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0) {
      if (errno == EINTR) continue;
      return path_failure(*state_->directories, "write", state_->path, errno);
    }
    if (count == 0) return path_failure(*state_->directories, "write", state_->path, EIO);
    offset += static_cast<std::uint64_t>(count);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return {};
}

result<void> StagedFile::publish() {
  if (!state_ || !state_->fd) return Failure{Errc::io, "publish a file that is no longer open"};
  const Directories& directories = *state_->directories;
  if (::fchmod(state_->fd.get(), state_->mode) != 0)
    return path_failure(directories, "set the mode of", state_->path, errno);
  // Network file systems report a failed write here.
  if (::close(state_->fd.release()) != 0 && errno != EINTR)
    return path_failure(directories, "write", state_->path, errno);
  TMPDUMP_CHECK(move_into_place(directories, state_->name, state_->path));
  state_->name.clear(); // nothing to remove
  state_.reset();
  return {};
}

result<void> move_into_place(const Directories& directories, const std::string& name, std::string_view path) {
  TMPDUMP_TRY(const Place place, find_place(directories, path));
  const auto rename = [&] {
    return ::renameat(directories.stage.get(), name.c_str(), place.directory, place.name.c_str()) == 0;
  };
  bool moved = rename();
  if (!moved && errno == EISDIR) {
    // Such as the DEST/lib that the exec wrapper makes. One with something in it stays, and rename says so.
    static_cast<void>(::unlinkat(place.directory, place.name.c_str(), AT_REMOVEDIR));
    moved = rename();
  }
  if (!moved) {
    if (errno == EISDIR)
      return Failure{Errc::io, "publish '" + printable(path) + "' in '" + printable(directories.path) +
                                   "': a directory is in its place: remove it or choose another one"};
    return path_failure(directories, "publish", path, errno);
  }
  return {};
}

} // namespace tmpdump::output
