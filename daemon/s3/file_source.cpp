// SPDX-License-Identifier: Apache-2.0
#include "s3/file_source.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>

namespace tmpdump::s3 {

namespace {

class FileBody final : public Body {
public:
  FileBody(std::shared_ptr<UniqueFd> fd, std::string path, std::uint64_t offset, std::uint64_t length)
      : fd_(std::move(fd)), path_(std::move(path)), offset_(offset), left_(length) {}

  boost::asio::awaitable<attempt_result<std::size_t>> read(MutableBytes out) override {
    const std::size_t wanted = std::min<std::uint64_t>(out.size(), left_);
    if (wanted == 0) co_return std::size_t{0};
    ssize_t got = 0;
    do {
      got = ::pread(fd_->get(), out.data(), wanted, static_cast<off_t>(offset_));
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
      co_return GetFailure{system_failure("read '" + printable(path_) + "'", errno), Verdict::fatal,
                           std::nullopt};
    }
    if (got == 0) {
      co_return GetFailure{{Errc::changed, "'" + printable(path_) + "' was truncated while it was read"},
                           Verdict::changed,
                           std::nullopt};
    }
    offset_ += static_cast<std::uint64_t>(got);
    left_ -= static_cast<std::uint64_t>(got);
    co_return static_cast<std::size_t>(got);
  }

private:
  std::shared_ptr<UniqueFd> fd_;
  std::string path_;
  std::uint64_t offset_;
  std::uint64_t left_;
};

} // namespace

result<std::unique_ptr<FileSource>> FileSource::open(const std::string& path) {
  UniqueFd fd = open_at(AT_FDCWD, path.c_str(), O_RDONLY | O_NOCTTY | O_NONBLOCK);
  if (!fd) return system_failure("open '" + printable(path) + "'", errno);
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return system_failure("stat '" + printable(path) + "'", errno);
  if (!S_ISREG(status.st_mode)) {
    return Failure{Errc::usage, "'" + printable(path) + "' is not a regular file; name a zip archive"};
  }
  std::string version = std::to_string(status.st_ino) + "-" + std::to_string(status.st_size) + "-" +
                        std::to_string(status.st_mtim.tv_sec) + "." + std::to_string(status.st_mtim.tv_nsec);
  return std::unique_ptr<FileSource>(
      new FileSource(std::move(fd), path, static_cast<std::uint64_t>(status.st_size), std::move(version)));
}

boost::asio::awaitable<attempt_result<GetResponse>> FileSource::get(GetRequest request) {
  if (!request.if_match.empty() && request.if_match != version_) {
    co_return GetFailure{
        {Errc::changed, "'" + printable(path_) + "' is another file now"}, Verdict::changed, {}};
  }
  GetResponse response;
  response.object_size = size_;
  response.etag = version_;
  if (const auto* slice = std::get_if<Slice>(&request.range)) {
    if (slice->offset >= size_) {
      co_return GetFailure{
          {Errc::bad_archive, "'" + printable(path_) + "' ends before byte " + std::to_string(slice->offset)},
          Verdict::out_of_range,
          {}};
    }
    response.offset = slice->offset;
    response.length = std::min(slice->length, size_ - slice->offset);
  } else {
    response.length = std::min(std::get<Suffix>(request.range).length, size_);
    response.offset = size_ - response.length;
  }
  response.body = std::make_unique<FileBody>(fd_, path_, response.offset, response.length);
  co_return response;
}

} // namespace tmpdump::s3
