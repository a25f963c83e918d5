// SPDX-License-Identifier: Apache-2.0
#include "pack/remote_archive.h"

#include "base/task_failure.h"
#include "base/version.h"
#include "credentials/credentials.h"
#include "fetch/transfer.h"
#include "net/network.h"
#include "pack/text.h"
#include "s3/http_source.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <exception>
#include <fcntl.h>
#include <optional>
#include <unistd.h>

namespace tmpdump::pack {

namespace asio = boost::asio;

namespace {

constexpr std::size_t window = std::size_t{40} << 20U;        // bytes of buffers
constexpr std::uint64_t range_size = std::uint64_t{8} << 20U; // as the prefetch asks

result<UniqueFd> nameless_file() {
  const char* const place = std::getenv("TMPDIR");
  std::string name = place != nullptr && *place != '\0' ? place : "/tmp";
  name += "/tmpdump-XXXXXX";
  UniqueFd fd(::mkostemp(name.data(), O_CLOEXEC));
  if (!fd) return system_failure("make a file in TMPDIR: " + quote(name), errno);
  (void)::unlink(name.c_str());
  return fd;
}

result<void> write_at(int fd, std::uint64_t offset, Bytes bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_failure("write a copy of the archive into TMPDIR", errno);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
  return {};
}

// The tail tells the size; everything before it follows in ranges.
asio::awaitable<result<void>> download(asio::io_context& context, s3::ObjectSource& source, int fd) {
  fetch::ChunkPool pool(context, window);
  result<void> written;
  fetch::Transfer transfer(
      context, source, pool, {},
      [&](const fetch::Piece& piece) {
        if (written) written = write_at(fd, piece.offset, piece.bytes);
      },
      nullptr);
  TMPDUMP_CO_TRY(const fetch::ObjectInfo info, co_await transfer.begin(fetch::tail_length, {}));
  const std::uint64_t rest = info.size - std::min(info.size, fetch::tail_length);
  std::vector<fetch::Slice> slices;
  for (std::uint64_t at = 0; at < rest; at += range_size)
    slices.push_back({at, std::min(range_size, rest - at)});
  transfer.set_connections(fetch::max_default_connections);
  transfer.add(slices);
  TMPDUMP_CO_CHECK(co_await transfer.drain());
  source.close_idle();
  co_return written;
}

} // namespace

result<ArchiveFile> open_archive(const config::Overrides& overrides) {
  TMPDUMP_TRY(const config::Options options, config::parse_options(config::process_environment(), overrides));
  if (const auto* file = std::get_if<config::FileUri>(&options.source)) return ArchiveFile::open(file->path);
  TMPDUMP_TRY(UniqueFd fd, nameless_file());
  asio::io_context context{1};
  net::NetworkOptions network_options;
  network_options.ca_bundle = options.ca_bundle;
  network_options.user_agent = std::string("tmpdump/") + version;
  net::Network network(context, network_options);
  credentials::Provider credentials(options, network);
  s3::HttpSource source(options, network, credentials, nullptr);
  std::optional<result<void>> outcome;
  asio::co_spawn(context, download(context, source, fd.get()),
                 [&](const std::exception_ptr& error, result<void> done) {
                   outcome.emplace(error ? failure_of(error) : std::move(done));
                 });
  context.run();
  TMPDUMP_CHECK(*outcome);
  return ArchiveFile::open(std::move(fd), source.display());
}

} // namespace tmpdump::pack
