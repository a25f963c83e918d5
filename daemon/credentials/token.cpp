// SPDX-License-Identifier: Apache-2.0
#include "credentials/token.h"

#include "base/unique_fd.h"

#include <algorithm>
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
  // As large as it may become: a string that grows leaves behind what it held.
  std::string out(max_token + 1, '\0');
  const WipedAtEnd wiped(out);
  std::size_t size = 0;
  while (size < out.size()) {
    const ssize_t got = ::read(fd.get(), out.data() + size, out.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return local(system_failure("read " + what, errno));
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  if (size > max_token) return Failure{Errc::usage, what + " holds more than 16384 bytes"};
  out.resize(size);
  return std::string(std::move(out));
}

} // namespace

result<Secret> authorization_token(const config::ContainerEndpoint& endpoint) {
  if (endpoint.authorization_token_file.empty()) return endpoint.authorization_token;
  const std::string what =
      "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE '" + printable(endpoint.authorization_token_file) + "'";
  TMPDUMP_TRY(std::string text, read_file(endpoint.authorization_token_file, what));
  const WipedAtEnd wiped(text);
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r'))
    text.pop_back();
  if (text.empty()) return Failure{Errc::usage, what + " is empty"};
  if (std::any_of(text.begin(), text.end(), [](char c) { return c < ' ' || c > '~'; }))
    return Failure{Errc::usage, what + " has a line break or another character that a header cannot hold"};
  return Secret(std::move(text));
}

} // namespace tmpdump::credentials
