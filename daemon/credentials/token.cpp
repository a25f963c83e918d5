// SPDX-License-Identifier: Apache-2.0
#include "credentials/token.h"

#include "base/unique_fd.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <string>
#include <sys/stat.h>
#include <unistd.h>

namespace tmpdump::credentials {
namespace {

constexpr std::size_t max_token = 16'384; // bytes; EKS's web identity tokens have about 1,500

// EAGAIN cannot happen: only regular files are read.
result<std::string> read_file(const std::string& path, const std::string& what) {
  const UniqueFd fd = open_at(AT_FDCWD, path.c_str(), O_RDONLY | O_NONBLOCK);
  if (!fd) return local(system_failure("open " + what, errno));
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return local(system_failure("stat " + what, errno));
  if (!S_ISREG(status.st_mode)) return Failure{Errc::io, what + " is not a regular file"};
  std::string out;
  std::array<char, 4096> buffer{};
  for (;;) {
    const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return local(system_failure("read " + what, errno));
    if (got == 0) return out;
    out.append(buffer.data(), static_cast<std::size_t>(got));
    if (out.size() > max_token) return Failure{Errc::usage, what + " holds more than 16384 bytes"};
  }
}

} // namespace

result<Secret> authorization_token(const config::ContainerEndpoint& endpoint) {
  if (endpoint.authorization_token_file.empty()) return endpoint.authorization_token;
  const std::string what =
      "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE '" + printable(endpoint.authorization_token_file) + "'";
  TMPDUMP_TRY(std::string text, read_file(endpoint.authorization_token_file, what));
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r'))
    text.pop_back();
  if (text.empty()) return Failure{Errc::usage, what + " is empty"};
  if (std::any_of(text.begin(), text.end(), [](char c) { return c < ' ' || c > '~'; }))
    return Failure{Errc::usage, what + " has a line break or another character that a header cannot hold"};
  return Secret(std::move(text));
}

} // namespace tmpdump::credentials
