// SPDX-License-Identifier: Apache-2.0
// A zip archive in a local file: jars and tmpdumps that are read on the build machine.
#pragma once

#include "base/bytes.h"
#include "base/error.h"
#include "base/unique_fd.h"
#include "zip/directory.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tmpdump::pack {

// One header of the central directory, cut into its parts, otherwise unread. Views into the archive's
// directory.
struct CentralHeader {
  Bytes whole;
  std::string_view name;
  Bytes extra;
};

class ArchiveFile {
public:
  static result<ArchiveFile> open(const std::string& path);
  // Takes the file behind `fd`, which messages call `path`.
  static result<ArchiveFile> open(UniqueFd fd, const std::string& path);

  // As the reader in the function sees it, or why it refuses it.
  [[nodiscard]] result<zip::Directory> directory() const;
  // Every header as it is, in order; fails only where one cannot be told from the next.
  [[nodiscard]] result<std::vector<CentralHeader>> headers() const;
  [[nodiscard]] Bytes central() const { return central_; }
  [[nodiscard]] const zip::DirectoryLocation& location() const { return location_; }
  // What follows the central directory: the end records with their comment.
  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] int fd() const { return fd_.get(); }
  result<void> read_at(std::uint64_t offset, MutableBytes out) const;

private:
  ArchiveFile(UniqueFd fd, std::string path, std::uint64_t size)
      : fd_(std::move(fd)), path_(std::move(path)), size_(size) {}
  UniqueFd fd_;
  std::string path_;
  std::uint64_t size_;
  zip::DirectoryLocation location_;
  std::vector<std::byte> central_;
};

} // namespace tmpdump::pack
