// SPDX-License-Identifier: Apache-2.0
// A file that appears at its place whole or not at all.
#pragma once

#include "base/bytes.h"
#include "base/error.h"
#include "base/unique_fd.h"

#include <cstdint>
#include <string>
#include <sys/types.h>
#include <vector>

namespace tmpdump::pack {

// Until publish() the file has no name (or, where the file system cannot do that, a hidden one beside its
// place that the destructor removes), so that what was at the place stays, also for those who read it.
class OutputFile {
public:
  // Follows symbolic links at `path`, also to where nothing is yet. Takes the mode of the file that is there;
  // refuses a place where something other than a regular file is.
  static result<OutputFile> create(const std::string& path);
  OutputFile(OutputFile&&) = default;
  OutputFile& operator=(OutputFile&&) = delete;
  ~OutputFile();

  result<void> append(Bytes bytes);
  // Of what has been appended; `bytes` must lie within it.
  result<void> overwrite(std::uint64_t offset, Bytes bytes);
  // Drops what was appended behind `size`.
  result<void> truncate(std::uint64_t size);
  [[nodiscard]] std::uint64_t size() const { return flushed_ + buffer_.size(); }

  // Everything appended can be read through fd() afterwards.
  result<void> flush();
  [[nodiscard]] int fd() const { return fd_.get(); }

  result<void> set_mode(mode_t mode);
  // Brings the bytes to the disk and the file to its place, in one step for whoever looks.
  result<void> publish();
  [[nodiscard]] const std::string& path() const { return path_; }

private:
  OutputFile(UniqueFd fd, std::string path, std::string hidden)
      : fd_(std::move(fd)), path_(std::move(path)), hidden_(std::move(hidden)) {}
  [[nodiscard]] Failure failure(int error_number) const;
  result<void> write_at(std::uint64_t offset, Bytes bytes);

  UniqueFd fd_;
  std::string path_;
  std::string hidden_; // the name that it has until published; empty: none
  std::vector<std::byte> buffer_;
  std::uint64_t flushed_ = 0;
};

} // namespace tmpdump::pack
