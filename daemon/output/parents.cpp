// SPDX-License-Identifier: Apache-2.0
#include "output/parents.h"

#include <cerrno>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

namespace tmpdump::output {

namespace {

constexpr int path_flags = O_PATH | O_DIRECTORY | O_NOFOLLOW;
constexpr mode_t parent_mode = 0755;

int open_beneath(int directory, const std::string& path) {
  open_how how{};
  how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  long fd = -1;
  do { // as open_at()
    fd = ::syscall(SYS_openat2, directory, path.c_str(), &how, sizeof how);
  } while (fd < 0 && errno == EINTR);
  return static_cast<int>(fd);
}

// Opens `name`, making it if it is missing. -1 and errno as open's.
UniqueFd open_or_make(const Directories& directories, int directory, const std::string& name) {
  UniqueFd fd = open_at(directory, name.c_str(), path_flags);
  if (fd || errno != ENOENT) return fd;
  const std::lock_guard lock(directories.modes);
  const bool made = ::mkdirat(directory, name.c_str(), parent_mode) == 0;
  if (!made && errno != EEXIST) return fd; // EEXIST: another thread was quicker
  if (!made) return open_at(directory, name.c_str(), path_flags);
  // A descriptor for fchmod, which O_PATH is not: the umask may have taken bits away.
  fd = open_at(directory, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (fd && ::fchmod(fd.get(), parent_mode) != 0) fd.reset();
  return fd;
}

// Component by component with O_NOFOLLOW, which holds for the last component of an open only.
template <class Open>
result<UniqueFd> walk(const Directories& directories, std::string_view path, Open open) {
  UniqueFd current;
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string name(path.substr(begin, end - begin));
    const int parent = current ? current.get() : directories.dest.get();
    UniqueFd next = open(parent, name);
    if (!next) return not_a_directory(directories, parent, name, path.substr(0, end), errno);
    current = std::move(next);
    begin = end + 1;
  }
  return current;
}

} // namespace

bool have_openat2(int directory) {
  return static_cast<bool>(UniqueFd(open_beneath(directory, ".")));
}

result<void> check_path(const Directories& directories, std::string_view path) {
  const auto refuse = [&](std::string_view why) {
    return Failure{Errc::bad_archive, "refused to make '" + printable(path) + "' in '" +
                                          printable(directories.path) + "': " + std::string(why)};
  };
  if (path.find('\0') != std::string_view::npos) return refuse("NUL in the name");
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view part = path.substr(begin, end - begin);
    if (part.empty()) return refuse("absolute, or with an empty component");
    if (part == "." || part == "..") return refuse("relative component");
    if (begin == 0 && part == own_name)
      return refuse("that name is tmpdump's own, leave it out of the archive");
    begin = end + 1;
  }
  return {};
}

std::optional<Place> find_existing(const Directories& directories, std::string_view path) {
  const std::size_t slash = path.rfind('/');
  Place place;
  place.name = path.substr(slash + 1); // npos + 1 is 0
  place.directory = directories.dest.get();
  if (slash == std::string_view::npos) return place;
  const std::string parent(path.substr(0, slash));
  if (directories.openat2) place.owned = UniqueFd(open_beneath(directories.dest.get(), parent));
  if (!place.owned && (!directories.openat2 || errno == EAGAIN)) { // somebody renames on the way
    int error = 0;
    auto found = walk(directories, parent, [&](int directory, const std::string& name) {
      UniqueFd fd = open_at(directory, name.c_str(), path_flags);
      error = errno;
      return fd;
    });
    if (found.has_value()) place.owned = std::move(*found);
    errno = error;
  }
  if (!place.owned) return std::nullopt;
  place.directory = place.owned.get();
  return place;
}

result<Place> find_place(const Directories& directories, std::string_view path) {
  const std::size_t slash = path.rfind('/');
  Place place;
  place.name = path.substr(slash + 1); // npos + 1 is 0
  if (slash == std::string_view::npos) {
    place.directory = directories.dest.get();
    return place;
  }
  const std::string parent(path.substr(0, slash));
  if (directories.openat2) place.owned = UniqueFd(open_beneath(directories.dest.get(), parent));
  // Whatever the kernel did not like (a missing directory, a symlink, a file, a path beyond PATH_MAX), the
  // walk either mends it or names the component.
  if (!place.owned) {
    TMPDUMP_TRY(place.owned, walk(directories, parent, [&](int directory, const std::string& name) {
                  return open_or_make(directories, directory, name);
                }));
  }
  place.directory = place.owned.get();
  return place;
}

Failure not_a_directory(const Directories& directories, int directory, const std::string& name,
                        std::string_view path, int error) {
  struct stat status {};
  const std::string what = "'" + printable(path) + "' in '" + printable(directories.path) + "'";
  if (error == ENOTDIR || error == ELOOP) {
    if (::fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) {
      if (S_ISLNK(status.st_mode))
        return {Errc::io,
                what + " is a symlink, and none is followed: remove it or choose another directory"};
      if (!S_ISDIR(status.st_mode))
        return {Errc::io, what + " is not a directory: remove it or choose another directory"};
    }
  }
  return path_failure(directories, "open directory", path, error);
}

} // namespace tmpdump::output
