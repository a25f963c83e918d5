// SPDX-License-Identifier: Apache-2.0
#include "manifest/files.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tmpdump::manifest {

namespace {

std::string quoted(std::string_view name) {
  return "'" + printable(name) + "'";
}

result<struct stat> trusted_status(int fd, std::string_view name) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return system_failure("stat " + quoted(name), errno);
  if ((status.st_uid != 0 && status.st_uid != ::geteuid()) || (status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return Failure{Errc::denied, quoted(name) + " belongs to, or is writable by, another user: remove it",
                   true};
  }
  return status;
}

// Nothing is there, or something that is no manifest of ours.
bool is_about_the_file(int directory, const char* name, int error) {
  if (error == EACCES || error == EPERM) {
    struct stat status {};
    const bool seen = ::fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0 || // .tmpdump is 0700
                      ::fstatat(directory, "", &status, AT_EMPTY_PATH) == 0;
    return seen && status.st_uid != ::geteuid();
  }
  return error == ENOENT || error == ELOOP || error == ENXIO || error == ENODEV || error == EISDIR ||
         error == ENOTDIR || error == EROFS;
}

// Again when a signal interrupts it, as it may on a network's file system.
int control_lock(int fd, int command, struct flock& range) {
  int outcome = 0;
  do {
    outcome = ::fcntl(fd, command, &range);
  } while (outcome != 0 && errno == EINTR);
  return outcome;
}

std::string own_name(const std::string& destination) {
  return destination + "/" TMPDUMP_MANIFEST_DIRECTORY;
}

result<UniqueFd> open_destination(const std::string& destination) {
  UniqueFd directory = open_at(AT_FDCWD, destination.c_str(), O_PATH | O_DIRECTORY);
  if (!directory) return system_failure("open " + quoted(destination), errno);
  return directory;
}

// .tmpdump; no descriptor: there is none.
result<UniqueFd> open_own(int destination, const std::string& name) {
  UniqueFd own = open_at(destination, TMPDUMP_MANIFEST_DIRECTORY, O_PATH | O_DIRECTORY | O_NOFOLLOW);
  if (!own && errno == ENOENT) return own;
  if (!own) return system_failure("open " + quoted(name), errno);
  TMPDUMP_CHECK(trusted_status(own.get(), name));
  return own;
}

// Makes and opens .tmpdump and the lock in it. No descriptor: a `tmpdump fetch` that ended took the .tmpdump,
// which was still empty, with it.
result<UniqueFd> open_lock(Directories& directories, const std::string& destination) {
  const std::string name = own_name(destination);
  const int top = directories.destination.get();
  if (::mkdirat(top, TMPDUMP_MANIFEST_DIRECTORY, 0700) != 0 && errno != EEXIST)
    return system_failure("make " + quoted(name), errno);
  TMPDUMP_TRY(directories.own, open_own(top, name));
  if (!directories.own) return UniqueFd();
  UniqueFd lock =
      open_at(directories.own.get(), TMPDUMP_MANIFEST_LOCK, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0644);
  if (!lock && errno == ENOENT) return lock;
  if (!lock) return system_failure("open the lock of " + quoted(destination), errno);
  TMPDUMP_CHECK(trusted_status(lock.get(), name + "/" TMPDUMP_MANIFEST_LOCK));
  return lock;
}

result<void> take_lock(int lock, const std::string& destination) {
  struct flock range {};
  range.l_type = F_WRLCK;
  range.l_whence = SEEK_SET;
  if (control_lock(lock, F_OFD_SETLK, range) == 0) return {};
  if (errno != EAGAIN && errno != EACCES) return system_failure("lock " + quoted(destination), errno);
  return Failure{Errc::io, "another tmpdump works on " + quoted(destination) +
                               ": wait for its end, or use another destination"};
}

} // namespace

Mapping::~Mapping() {
  if (base_ != nullptr) ::munmap(base_, size_);
}

result<Mapping> Mapping::map(int fd, std::size_t size, bool writable) {
  void* base = ::mmap(nullptr, size, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
  if (base == MAP_FAILED) return system_failure("map the manifest", errno);
  Mapping mapping;
  mapping.base_ = base;
  mapping.size_ = size;
  return mapping;
}

result<Directories> open_directories(const std::string& destination) {
  Directories directories;
  TMPDUMP_TRY(directories.destination, open_destination(destination));
  TMPDUMP_TRY(directories.own, open_own(directories.destination.get(), own_name(destination)));
  if (!directories.own) return system_failure("open " + quoted(own_name(destination)), ENOENT);
  return directories;
}

result<MappedManifest> map_manifest(int directory, const char* name, bool writable) {
  const int mode = writable ? O_RDWR : O_RDONLY;
  const UniqueFd file = open_at(directory, name, mode | O_NOFOLLOW | O_NONBLOCK);
  if (!file) {
    Failure failure = system_failure("open " + quoted(name), errno);
    failure.lasting = is_about_the_file(directory, name, errno);
    return failure;
  }
  // A living daemon may grow the file between the look at its size and the look into it, once.
  for (int attempt = 0; attempt < 2; ++attempt) {
    TMPDUMP_TRY(const struct stat status, trusted_status(file.get(), name));
    if (!S_ISREG(status.st_mode))
      return Failure{Errc::denied, quoted(name) + " is not a file: remove it", true};
    if (status.st_size < TMPDUMP_MANIFEST_HEADER_SIZE ||
        static_cast<std::uint64_t>(status.st_size) > TMPDUMP_MANIFEST_MAX_SIZE) {
      break;
    }
    MappedManifest manifest;
    TMPDUMP_TRY(manifest.mapping,
                Mapping::map(file.get(), static_cast<std::size_t>(status.st_size), writable));
    const auto opened = tmpdump_view_open(&manifest.view, manifest.mapping.base(), manifest.mapping.size());
    if (opened == TMPDUMP_VIEW_OK) return manifest;
    if (opened == TMPDUMP_VIEW_VERSION) {
      return Failure{Errc::io, quoted(name) + " is of another version of tmpdump: use that one", true};
    }
    if (opened != TMPDUMP_VIEW_SHORT) break;
  }
  return Failure{Errc::io, quoted(name) + " is damaged: remove it", true};
}

result<Claim> claim(const std::string& destination) {
  // One level, as output::Destination does; why it could not be made, the open says.
  static_cast<void>(::mkdir(destination.c_str(), 0777));
  Claim claim;
  TMPDUMP_TRY(claim.directories.destination, open_destination(destination));
  // Once the lock is in it, nobody removes .tmpdump any more. A hundred that vanish before do not happen by
  // chance.
  for (int round = 0; !claim.lock && round < 100; ++round) {
    TMPDUMP_TRY(claim.lock, open_lock(claim.directories, destination));
  }
  if (!claim.lock)
    return Failure{Errc::io, quoted(own_name(destination)) + " keeps vanishing: use another destination"};
  TMPDUMP_CHECK(take_lock(claim.lock.get(), destination));
  return claim;
}

bool lock_is_held(int directory) {
  const UniqueFd lock = open_at(directory, TMPDUMP_MANIFEST_LOCK, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (!lock) return false;
  struct flock query {};
  query.l_type = F_RDLCK;
  query.l_whence = SEEK_SET;
  return control_lock(lock.get(), F_OFD_GETLK, query) == 0 && query.l_type != F_UNLCK;
}

} // namespace tmpdump::manifest
