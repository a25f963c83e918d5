// SPDX-License-Identifier: Apache-2.0
#include "output/destination.h"

#include "output/parents.h"
#include "output/staged_file.h"

#include <cerrno>
#include <fcntl.h>
#include <limits>
#include <sys/stat.h>
#include <sys/statvfs.h>

namespace tmpdump::output {

namespace {

// Setuid, setgid and sticky are never set, and nobody else may write: a library that somebody else can change
// is not ours.
constexpr mode_t mode_mask = 0755;

// From this size on, bytes, fallocate pays on ext4: writes of a large file become 20 to 40 % faster. Below,
// it costs about 10 us a file of 40 to 60. On tmpfs it only moves the cost of the pages to the front.
constexpr std::uint64_t reserve_from = std::uint64_t{128} * 1024;

result<void> reserve(const Directories& directories, int fd, std::string_view path, std::uint64_t size) {
  if (size < reserve_from) return {};
  if (size > static_cast<std::uint64_t>(std::numeric_limits<off_t>::max()))
    return path_failure(directories, "reserve space for", path, EFBIG);
  // The file's size is left alone: a file that was not written to its end must not look as if it was.
  while (::fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(size)) != 0) {
    if (errno == EOPNOTSUPP || errno == ENOSYS) return {}; // e.g. NFS before 4.2, overlay on old file systems
    if (errno != EINTR) return path_failure(directories, "reserve space for", path, errno);
  }
  return {};
}

// Gone, with others' files in it, in use as a mount, or reached by what somebody put where a folder was.
bool is_not_ours(int error) {
  return error == ENOENT || error == ENOTEMPTY || error == EEXIST || error == EBUSY || error == ENOTDIR ||
         error == ELOOP || error == EXDEV;
}

// A descriptor for change_mode(). A directory whose mode forbids us to read it is opened without reading it.
UniqueFd open_to_change(const Place& place) {
  constexpr int flags = O_DIRECTORY | O_NOFOLLOW;
  UniqueFd fd = open_at(place.directory, place.name.c_str(), O_RDONLY | flags);
  if (!fd && errno == EACCES) fd = open_at(place.directory, place.name.c_str(), O_PATH | flags);
  return fd;
}

int change_mode(const UniqueFd& fd, mode_t mode) {
  if (::fchmod(fd.get(), mode) == 0) return 0;
  if (errno != EBADF) return -1; // O_PATH: by the descriptor's name, which leads to that directory alone
  return ::chmod(("/proc/self/fd/" + std::to_string(fd.get())).c_str(), mode);
}

} // namespace

Destination::Destination(Destination&&) noexcept = default;
Destination& Destination::operator=(Destination&&) noexcept = default;
Destination::~Destination() = default;

result<Destination> Destination::open(const std::string& path, PathLookup lookup) {
  Destination destination;
  TMPDUMP_TRY(destination.directories_, open_directories(path, lookup));
  return destination;
}

result<StagedFile> Destination::stage(std::string_view path, mode_t mode, std::uint64_t size) const {
  TMPDUMP_CHECK(check_path(*directories_, path));
  auto state = std::make_unique<StagedFile::State>();
  std::string name = directories_->new_name();
  state->fd =
      open_at(directories_->stage.get(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
  if (!state->fd) return path_failure(*directories_, "stage", path, errno);
  state->directories = directories_;
  state->name = std::move(name);
  state->path = path;
  state->mode = mode & mode_mask;
  TMPDUMP_CHECK(reserve(*directories_, state->fd.get(), path, size));
  StagedFile file;
  file.state_ = std::move(state);
  return file;
}

result<void> Destination::make_directory(std::string_view path, mode_t mode) const {
  TMPDUMP_CHECK(check_path(*directories_, path));
  TMPDUMP_TRY(const Place place, find_place(*directories_, path));
  mode &= mode_mask;
  const std::lock_guard lock(directories_->modes);
  struct stat status {};
  if (::mkdirat(place.directory, place.name.c_str(), 0700) != 0) {
    if (errno != EEXIST) return path_failure(*directories_, "make directory", path, errno);
    // What has its mode already needs no descriptor, which that mode may forbid.
    if (::fstatat(place.directory, place.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISDIR(status.st_mode) && (status.st_mode & 07777U) == mode)
      return {};
  }
  const UniqueFd fd = open_to_change(place);
  if (!fd) return not_a_directory(*directories_, place.directory, place.name, path, errno);
  if (::fstat(fd.get(), &status) != 0) return path_failure(*directories_, "look at", path, errno);
  // Only if it differs: a directory that is right may belong to somebody else.
  if ((status.st_mode & 07777U) != mode && change_mode(fd, mode) != 0)
    return path_failure(*directories_, "set the mode of", path, errno);
  return {};
}

result<void> Destination::open_directory(std::string_view path) const {
  if (!check_path(*directories_, path)) return {};
  const auto place = find_existing(*directories_, path);
  if (!place) return {};
  const std::lock_guard lock(directories_->modes);
  struct stat status {};
  if (::fstatat(place->directory, place->name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0 ||
      !S_ISDIR(status.st_mode) || (status.st_mode & 0700U) == 0700U)
    return {};
  const UniqueFd fd = open_to_change(*place);
  if (!fd && is_not_ours(errno)) return {};
  if (!fd || change_mode(fd, (status.st_mode & 07777U) | 0700U) != 0)
    return path_failure(*directories_, "set the mode of", path, errno);
  return {};
}

result<void> Destination::make_symlink(std::string_view path, std::string_view target) const {
  TMPDUMP_CHECK(check_path(*directories_, path));
  if (target.find('\0') != std::string_view::npos)
    return Failure{Errc::bad_archive, "symlink '" + printable(path) + "': NUL in its target"};
  const std::string name = directories_->new_name();
  if (::symlinkat(std::string(target).c_str(), directories_->stage.get(), name.c_str()) != 0)
    return path_failure(*directories_, "make symlink", path, errno);
  auto moved = move_into_place(*directories_, name, path);
  if (!moved) static_cast<void>(::unlinkat(directories_->stage.get(), name.c_str(), 0));
  return moved;
}

result<void> Destination::remove(std::string_view path, const Identity& identity) const {
  if (!check_path(*directories_, path)) return {};
  const auto failed = [&]() -> result<void> {
    if (is_not_ours(errno)) return {};
    return path_failure(*directories_, "remove", path, errno);
  };
  const auto place = find_existing(*directories_, path);
  if (!place) return failed();
  struct stat status {};
  if (::fstatat(place->directory, place->name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return failed();
  const bool is_directory = S_ISDIR(status.st_mode);
  // As manifest::inspect() has it.
  const auto mtime_ns =
      static_cast<std::int64_t>(static_cast<std::uint64_t>(status.st_mtim.tv_sec) * 1'000'000'000U +
                                static_cast<std::uint64_t>(status.st_mtim.tv_nsec));
  if (!is_directory && (status.st_ino != identity.inode || mtime_ns != identity.mtime_ns)) return {};
  if (::unlinkat(place->directory, place->name.c_str(), is_directory ? AT_REMOVEDIR : 0) != 0)
    return failed();
  return {};
}

result<std::uint64_t> Destination::free_space() const {
  struct statvfs status {};
  if (::fstatvfs(directories_->dest.get(), &status) != 0)
    return system_failure("free space of '" + printable(directories_->path) + "'", errno);
  std::uint64_t bytes = 0;
  if (__builtin_mul_overflow(status.f_bavail, status.f_frsize, &bytes)) return UINT64_MAX;
  return bytes;
}

void Destination::clean_up() const {
  remove_directories(*directories_);
}

const std::string& Destination::path() const {
  return directories_->path;
}

} // namespace tmpdump::output
