// SPDX-License-Identifier: Apache-2.0
// An archive in a local file, read through the same interface as one in S3.
#pragma once

#include "base/unique_fd.h"
#include "s3/object_source.h"

#include <memory>
#include <string>

namespace tmpdump::s3 {

class FileSource final : public ObjectSource {
public:
  static result<std::unique_ptr<FileSource>> open(const std::string& path);

  boost::asio::awaitable<attempt_result<GetResponse>> get(GetRequest request) override;
  [[nodiscard]] std::string display() const override { return path_; }
  [[nodiscard]] std::uint64_t requests() const override { return 0; }
  [[nodiscard]] std::uint64_t connections() const override { return 0; }

private:
  FileSource(UniqueFd fd, std::string path, std::uint64_t size, std::string version)
      : fd_(std::make_shared<UniqueFd>(std::move(fd))), path_(std::move(path)), size_(size),
        version_(std::move(version)) {}
  std::shared_ptr<UniqueFd> fd_; // shared with the bodies
  std::string path_;
  std::uint64_t size_;
  std::string version_; // stands in for the ETag: inode, size and time of the last change
};

} // namespace tmpdump::s3
