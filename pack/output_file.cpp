// SPDX-License-Identifier: Apache-2.0
#include "pack/output_file.h"

#include "pack/text.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <random>
#include <sys/stat.h>
#include <unistd.h>

namespace tmpdump::pack {

namespace {

constexpr std::size_t buffer_size = std::size_t{1} << 20U;

std::string directory_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string hidden_name(const std::string& path) {
  std::random_device random;
  const std::size_t slash = path.rfind('/');
  const std::size_t name = slash == std::string::npos ? 0 : slash + 1;
  return path.substr(0, name) + "." + path.substr(name) + "." + std::to_string(random());
}

// Where a symbolic link at `path` leads, so that the link stays one; also to what is still to be made.
result<std::string> behind_links(const std::string& wanted) {
  constexpr int most_links = 40; // as the kernel
  std::string path = wanted;
  for (int i = 0; i < most_links; ++i) {
    const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr), &std::free);
    if (real) return std::string(real.get());
    std::array<char, PATH_MAX> target{};
    const ssize_t length = ::readlink(path.c_str(), target.data(), target.size());
    if (length <= 0) return path;
    const std::string_view to(target.data(), static_cast<std::size_t>(length));
    path = to.front() == '/' ? std::string(to) : directory_of(path).append("/").append(to);
  }
  return system_failure("write " + quote(wanted), ELOOP);
}

} // namespace

result<OutputFile> OutputFile::create(const std::string& wanted) {
  if (wanted.empty()) return Failure{Errc::usage, "the output has no name"};
  TMPDUMP_TRY(const std::string path, behind_links(wanted));
  struct stat there {};
  const bool replaces = ::stat(path.c_str(), &there) == 0;
  if (replaces && !S_ISREG(there.st_mode)) {
    return Failure{Errc::usage,
                   "write " + quote(wanted) + ": there is " +
                       (S_ISDIR(there.st_mode) ? "a directory" : "something that is no regular file") +
                       "; name a file"};
  }
  // A file without a name vanishes with the process, however that ends.
  UniqueFd fd(::open(directory_of(path).c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0666));
  std::string hidden;
  if (!fd && errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL) {
    return system_failure("write " + quote(wanted), errno);
  }
  if (!fd) {
    hidden = hidden_name(path);
    fd = UniqueFd(::open(hidden.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    if (!fd) return system_failure("write " + quote(wanted), errno);
  }
  OutputFile file(std::move(fd), path, std::move(hidden));
  if (replaces) TMPDUMP_CHECK(file.set_mode(there.st_mode)); // who may read it stays who may
  return file;
}

OutputFile::~OutputFile() {
  if (fd_ && !hidden_.empty()) (void)::unlink(hidden_.c_str());
}

Failure OutputFile::failure(int error_number) const {
  Failure failed = system_failure("write " + quote(path_), error_number);
  failed.message += "; what was there before is untouched";
  return failed;
}

result<void> OutputFile::write_at(std::uint64_t offset, Bytes bytes) {
  const auto begin = static_cast<off_t>(offset);
  const auto size = static_cast<off_t>(bytes.size());
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return failure(written == 0 ? EIO : errno);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
    offset += static_cast<std::uint64_t>(written);
  }
  // Begins to bring them to the disk beside what still is to be made: publish() waits for the rest only.
  (void)::sync_file_range(fd_.get(), begin, size, SYNC_FILE_RANGE_WRITE);
  return {};
}

result<void> OutputFile::append(Bytes bytes) {
  if (buffer_.size() + bytes.size() > buffer_size) TMPDUMP_CHECK(flush());
  if (bytes.size() > buffer_size) {
    TMPDUMP_CHECK(write_at(flushed_, bytes));
    flushed_ += bytes.size();
    return {};
  }
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
  return {};
}

result<void> OutputFile::overwrite(std::uint64_t offset, Bytes bytes) {
  if (offset < flushed_) {
    const auto before = static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), flushed_ - offset));
    TMPDUMP_CHECK(write_at(offset, bytes.first(before)));
    bytes = bytes.subspan(before);
    offset += before;
  }
  if (!bytes.empty()) std::memcpy(buffer_.data() + (offset - flushed_), bytes.data(), bytes.size());
  return {};
}

result<void> OutputFile::truncate(std::uint64_t size) {
  TMPDUMP_CHECK(flush());
  while (::ftruncate(fd_.get(), static_cast<off_t>(size)) != 0) {
    if (errno != EINTR) return failure(errno);
  }
  flushed_ = size;
  return {};
}

result<void> OutputFile::flush() {
  TMPDUMP_CHECK(write_at(flushed_, buffer_));
  flushed_ += buffer_.size();
  buffer_.clear();
  return {};
}

result<void> OutputFile::set_mode(mode_t mode) {
  if (::fchmod(fd_.get(), mode & 07777U) != 0) return failure(errno);
  return {};
}

result<void> OutputFile::publish() {
  TMPDUMP_CHECK(flush());
  if (::fsync(fd_.get()) != 0) return failure(errno);
  if (hidden_.empty()) {
    hidden_ = hidden_name(path_);
    const std::string self = "/proc/self/fd/" + std::to_string(fd_.get());
    if (::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, hidden_.c_str(), AT_SYMLINK_FOLLOW) != 0) {
      hidden_.clear();
      return failure(errno);
    }
  }
  if (::rename(hidden_.c_str(), path_.c_str()) != 0) return failure(errno);
  hidden_.clear();
  return {};
}

} // namespace tmpdump::pack
