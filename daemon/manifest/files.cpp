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
    return ::fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && status.st_uid != ::geteuid();
  }
  return error == ENOENT || error == ELOOP || error == ENXIO || error == ENODEV || error == EISDIR ||
         error == ENOTDIR || error == EROFS;
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

result<Directories> open_directories(const std::string& destination, bool create) {
  Directories directories;
  // One level, as output::Destination does; why it could not be made, the open says.
  if (create) static_cast<void>(::mkdir(destination.c_str(), 0777));
  directories.destination = UniqueFd(::open(destination.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!directories.destination) return system_failure("open " + quoted(destination), errno);
  const std::string name = destination + "/" TMPDUMP_MANIFEST_DIRECTORY;
  const int top = directories.destination.get();
  if (create && ::mkdirat(top, TMPDUMP_MANIFEST_DIRECTORY, 0755) != 0 && errno != EEXIST) {
    return system_failure("make " + quoted(name), errno);
  }
  directories.own =
      UniqueFd(::openat(top, TMPDUMP_MANIFEST_DIRECTORY, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!directories.own) return system_failure("open " + quoted(name), errno);
  TMPDUMP_CHECK(trusted_status(directories.own.get(), name));
  return directories;
}

result<MappedManifest> map_manifest(int directory, const char* name, bool writable) {
  const int mode = writable ? O_RDWR : O_RDONLY;
  const UniqueFd file(::openat(directory, name, mode | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
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

result<UniqueFd> take_lock(int directory, const std::string& destination) {
  UniqueFd lock(::openat(directory, TMPDUMP_MANIFEST_LOCK,
                         O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644));
  if (!lock) return system_failure("open the lock of " + quoted(destination), errno);
  TMPDUMP_CHECK(
      trusted_status(lock.get(), destination + "/" TMPDUMP_MANIFEST_DIRECTORY "/" TMPDUMP_MANIFEST_LOCK));
  struct flock range {};
  range.l_type = F_WRLCK;
  range.l_whence = SEEK_SET;
  if (::fcntl(lock.get(), F_OFD_SETLK, &range) != 0) {
    if (errno == EAGAIN || errno == EACCES) {
      return Failure{Errc::io, "another tmpdump works on " + quoted(destination) +
                                   ": wait for its end, or use another destination"};
    }
    return system_failure("lock " + quoted(destination), errno);
  }
  return lock;
}

bool lock_is_held(int directory) {
  const UniqueFd lock(
      ::openat(directory, TMPDUMP_MANIFEST_LOCK, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!lock) return false;
  struct flock query {};
  query.l_type = F_RDLCK;
  query.l_whence = SEEK_SET;
  return ::fcntl(lock.get(), F_OFD_GETLK, &query) == 0 && query.l_type != F_UNLCK;
}

} // namespace tmpdump::manifest
