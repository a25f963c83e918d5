// SPDX-License-Identifier: Apache-2.0
#include "manifest/inspect.h"

#include "base/unique_fd.h"
#include "manifest/elf_needed.h"

#include <cerrno>
#include <climits>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tmpdump::manifest {

namespace {

bool is_kind(const struct stat& status, zip::Kind kind) {
  switch (kind) {
  case zip::Kind::directory:
    return S_ISDIR(status.st_mode);
  case zip::Kind::symlink:
    return S_ISLNK(status.st_mode);
  case zip::Kind::file:
    break;
  }
  return S_ISREG(status.st_mode);
}

} // namespace

result<Facts> inspect(int destination, const ListedEntry& entry) {
  const auto failed = [&](const char* call) {
    return system_failure(std::string(call) + " '" + printable(entry.path) + "'", errno);
  };
  UniqueFd file;
  struct stat status {};
  if (entry.kind == zip::Kind::file) {
    file = open_at(destination, entry.path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    // A mode without read permission is the archive's right; then what it needs stays unknown.
    if (!file && errno != EACCES) return failed("open");
  }
  const int looked = file ? ::fstat(file.get(), &status)
                          : ::fstatat(destination, entry.path.c_str(), &status, AT_SYMLINK_NOFOLLOW);
  if (looked != 0) return failed("stat");
  if (!is_kind(status, entry.kind) ||
      (entry.kind == zip::Kind::file && static_cast<std::uint64_t>(status.st_size) != entry.size)) {
    return Failure{Errc::io, "'" + printable(entry.path) + "' is not the file that was published"};
  }
  Facts facts;
  // Unsigned: a clock beyond the year 2262 wraps and still compares.
  facts.mtime_ns =
      static_cast<std::int64_t>(static_cast<std::uint64_t>(status.st_mtim.tv_sec) * 1'000'000'000U +
                                static_cast<std::uint64_t>(status.st_mtim.tv_nsec));
  facts.inode = status.st_ino;
  if (entry.kind == zip::Kind::symlink) {
    char target[PATH_MAX];
    const ssize_t size = ::readlinkat(destination, entry.path.c_str(), target, sizeof target);
    if (size < 0) return failed("read link");
    facts.link_target.assign(target, static_cast<std::size_t>(size));
  } else if (file) {
    if (auto names = read_elf_names(file.get()); names.has_value()) facts.needed = std::move(names->needed);
  }
  return facts;
}

} // namespace tmpdump::manifest
