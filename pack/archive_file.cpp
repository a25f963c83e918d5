// SPDX-License-Identifier: Apache-2.0
#include "pack/archive_file.h"

#include "pack/text.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>

namespace tmpdump::pack {

namespace {

constexpr std::size_t first_tail = std::size_t{128} * 1024;
constexpr std::size_t header_fixed_size = 46; // APPNOTE 4.3.12
constexpr std::uint32_t header_signature = 0x02014b50;

} // namespace

result<ArchiveFile> ArchiveFile::open(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return system_failure("open " + quote_file(path), errno);
  return open(std::move(fd), path);
}

result<ArchiveFile> ArchiveFile::open(UniqueFd fd, const std::string& path) {
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return system_failure("read " + quote(path), errno);
  if (!S_ISREG(status.st_mode)) return Failure{Errc::usage, quote(path) + " is not a regular file"};
  ArchiveFile archive(std::move(fd), path, static_cast<std::uint64_t>(status.st_size));
  const zip::Limits limits;
  std::uint64_t begin = archive.size_ - std::min<std::uint64_t>(archive.size_, first_tail);
  for (;;) {
    std::vector<std::byte> tail(static_cast<std::size_t>(archive.size_ - begin));
    TMPDUMP_CHECK(archive.read_at(begin, tail));
    auto located = zip::locate_directory(tail, archive.size_);
    if (!located) return located.error().within(quote(path));
    if (const auto* more = std::get_if<zip::NeedMore>(&*located)) {
      if (more->offset >= begin || archive.size_ - more->offset > limits.max_directory_size) {
        return Failure{Errc::bad_archive,
                       quote(path) + ": not a zip archive: its central directory cannot be found"};
      }
      begin = more->offset;
      continue;
    }
    archive.location_ = std::get<zip::DirectoryLocation>(*located);
    break;
  }
  if (const auto fits = zip::check_limits(archive.location_, limits); !fits)
    return fits.error().within(quote(path));
  archive.central_.resize(static_cast<std::size_t>(archive.location_.size));
  TMPDUMP_CHECK(archive.read_at(archive.location_.offset, archive.central_));
  return archive;
}

result<zip::Directory> ArchiveFile::directory() const {
  auto directory = zip::parse_directory(central_, location_, size_, {});
  if (!directory) return directory.error().within(quote(path_));
  return directory;
}

result<std::vector<CentralHeader>> ArchiveFile::headers() const {
  std::vector<CentralHeader> found;
  Bytes rest = central_;
  for (std::uint64_t i = 0; i < location_.entry_count; ++i) {
    const auto cut_off = [&] {
      return Failure{Errc::bad_archive, quote(path_) + ": the central directory ends before its last entry"};
    };
    if (rest.size() < header_fixed_size || load_le32(rest, 0) != header_signature) return cut_off();
    const std::size_t name = load_le16(rest, 28);
    const std::size_t extra = load_le16(rest, 30);
    const std::size_t comment = load_le16(rest, 32);
    const std::size_t size = header_fixed_size + name + extra + comment;
    if (size > rest.size()) return cut_off();
    found.push_back({rest.first(size), text_of(rest.subspan(header_fixed_size, name)),
                     rest.subspan(header_fixed_size + name, extra)});
    rest = rest.subspan(size);
  }
  return found;
}

result<void> ArchiveFile::read_at(std::uint64_t offset, MutableBytes out) const {
  while (!out.empty()) {
    const ssize_t count = ::pread(fd_.get(), out.data(), out.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_failure("read " + quote(path_), errno);
    if (count == 0)
      return Failure{Errc::bad_archive, quote(path_) + " became shorter while it was read, or is cut off"};
    out = out.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
  return {};
}

} // namespace tmpdump::pack
