// SPDX-License-Identifier: Apache-2.0
#include "output/directories.h"

#include "output/parents.h"

#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <optional>
#include <sys/file.h>
#include <sys/stat.h>

namespace tmpdump::output {

namespace {

constexpr char stage_name[] = "stage";
constexpr char lock_name[] = "lock";
constexpr int directory_flags = O_RDONLY | O_DIRECTORY;

// A directory of our own: made if missing, ours alone, with exactly `mode`. No descriptor: it vanished,
// because its last user cleaned up meanwhile.
result<UniqueFd> open_own(const Directories& directories, int parent, const char* name, std::string_view path,
                          mode_t mode) {
  if (::mkdirat(parent, name, mode) != 0 && errno != EEXIST) {
    if (errno == ENOENT) return UniqueFd();
    return path_failure(directories, "make directory", path, errno);
  }
  UniqueFd fd = open_at(parent, name, directory_flags | O_NOFOLLOW);
  if (!fd && errno == ENOENT) return UniqueFd();
  const int error = errno;
  struct stat status {};
  // Of the open directory where it opened, so that nobody can exchange it between the look and the use.
  const bool known =
      (fd ? ::fstat(fd.get(), &status) : ::fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW)) == 0;
  if (known && S_ISDIR(status.st_mode) && status.st_uid != ::geteuid()) {
    return Failure{Errc::denied, "'" + printable(path) + "' in '" + printable(directories.path) +
                                     "' belongs to another user (uid " + std::to_string(status.st_uid) +
                                     "): remove it or choose another directory"};
  }
  if (!fd) return not_a_directory(directories, parent, name, path, error);
  if ((status.st_mode & 07777U) != mode && ::fchmod(fd.get(), mode) != 0)
    return path_failure(directories, "set the mode of", path, errno);
  return fd;
}

// False: what was locked has been removed by its last holder, or vanished before: begin again.
result<bool> lock_stage(Directories& directories) {
  const std::string stage_path = std::string(own_name) + '/' + stage_name;
  TMPDUMP_TRY(directories.own, open_own(directories, directories.dest.get(), own_name, own_name, 0700));
  if (!directories.own) return false;
  TMPDUMP_TRY(directories.stage, open_own(directories, directories.own.get(), stage_name, stage_path, 0700));
  if (!directories.stage) return false;
  // A file, because NFS (EFS) takes exclusive locks only on what is open for writing.
  directories.lock =
      open_at(directories.stage.get(), lock_name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0600);
  if (!directories.lock) {
    if (errno == ENOENT) return false;
    return path_failure(directories, "open", stage_path + '/' + lock_name, errno);
  }
  while (::flock(directories.lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK)
      return Failure{Errc::io, "another tmpdump is working in '" + printable(directories.path) +
                                   "': wait until it is done or choose another directory"};
    if (errno != EINTR) return path_failure(directories, "lock", stage_path + '/' + lock_name, errno);
  }
  struct stat status {};
  if (::fstat(directories.lock.get(), &status) != 0)
    return path_failure(directories, "look at", stage_path + '/' + lock_name, errno);
  return status.st_nlink > 0;
}

result<UniqueFd> open_dest(const std::string& path) {
  if (path.empty()) return Failure{Errc::usage, "the destination directory has an empty name"};
  const std::string what = "directory '" + printable(path) + "'";
  if (::mkdir(path.c_str(), 0777) != 0 && errno != EEXIST) {
    if (errno == ENOENT) return Failure{Errc::not_found, "make " + what + ": its parent does not exist"};
    // EROFS and EACCES are reported for existing directories too.
    const int error = errno;
    UniqueFd fd = open_at(AT_FDCWD, path.c_str(), directory_flags);
    if (!fd) return system_failure("make " + what, error);
    return fd;
  }
  UniqueFd fd = open_at(AT_FDCWD, path.c_str(), directory_flags);
  if (!fd) return system_failure("open " + what, errno);
  return fd;
}

} // namespace

result<std::shared_ptr<const Directories>> open_directories(const std::string& path, PathLookup lookup) {
  auto directories = std::make_shared<Directories>();
  directories->path = path;
  TMPDUMP_TRY(directories->dest, open_dest(path));
  directories->openat2 = lookup == PathLookup::best && have_openat2(directories->dest.get());
  // Each round that ends in false means that another process cleaned up and left; a hundred in a row do not
  // happen by chance.
  bool locked = false;
  for (int round = 0; !locked && round < 100; ++round) {
    TMPDUMP_TRY(locked, lock_stage(*directories));
  }
  if (!locked)
    return Failure{Errc::io, "'" + printable(path) + "/.tmpdump' keeps vanishing: choose another directory"};
  remove_staged(*directories);
  return std::shared_ptr<const Directories>(std::move(directories));
}

void remove_staged(const Directories& directories) {
  UniqueFd opened = open_at(directories.stage.get(), ".", directory_flags);
  DIR* const listing = opened ? ::fdopendir(opened.get()) : nullptr;
  if (listing == nullptr) return;
  const int fd = opened.release(); // the listing's
  while (const dirent* const entry = ::readdir(listing)) {
    const std::string_view name = entry->d_name;
    if (name == "." || name == ".." || name == lock_name) continue;
    // unlinkat removes a symlink itself. Directories are none of ours; an empty one goes as well.
    if (::unlinkat(fd, entry->d_name, 0) != 0 && errno == EISDIR)
      static_cast<void>(::unlinkat(fd, entry->d_name, AT_REMOVEDIR));
  }
  ::closedir(listing);
}

void remove_directories(const Directories& directories) {
  remove_staged(directories);
  // The lock goes while it is held: whoever opened it meanwhile sees that it has no name any more. From here
  // on another process may begin, and then its lock keeps the directories from being removed.
  static_cast<void>(::unlinkat(directories.stage.get(), lock_name, 0));
  static_cast<void>(::unlinkat(directories.own.get(), stage_name, AT_REMOVEDIR));
  static_cast<void>(::unlinkat(directories.dest.get(), own_name, AT_REMOVEDIR));
}

Failure path_failure(const Directories& directories, std::string_view verb, std::string_view path,
                     int error) {
  std::string what(verb);
  what.append(" '").append(printable(path)).append("' in '").append(printable(directories.path)).append("'");
  Failure failure = system_failure(what, error);
  if (failure.code == Errc::no_space)
    failure.message.append(" (free some, or give the file system more: on Lambda, ephemeral storage)");
  return failure;
}

} // namespace tmpdump::output
