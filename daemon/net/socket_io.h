// SPDX-License-Identifier: Apache-2.0
// recv and send that never wait and never raise SIGPIPE.
#pragma once

#include "base/bytes.h"
#include "net/io.h"

#include <cerrno>
#include <sys/socket.h>

namespace tmpdump::net {

inline IoStatus status_of_errno(int error, IoStatus would_block) {
  if (error == EAGAIN || error == EWOULDBLOCK)
    return would_block; // NOLINT(misc-redundant-expression): POSIX has two
  return error == ECONNRESET || error == EPIPE ? IoStatus::cut : IoStatus::failed;
}

// `out` must not be empty: 0 bytes are the stream's end.
inline Io socket_read(int fd, MutableBytes out, int& error) {
  ssize_t n = 0;
  do {
    n = ::recv(fd, out.data(), out.size(), MSG_DONTWAIT);
  } while (n < 0 && errno == EINTR);
  if (n > 0) return {IoStatus::done, static_cast<std::size_t>(n)};
  if (n == 0) return {IoStatus::end, 0};
  error = errno;
  return {status_of_errno(error, IoStatus::want_read), 0};
}

inline Io socket_write(int fd, Bytes bytes, int& error) {
  ssize_t n = 0;
  do {
    n = ::send(fd, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (n < 0 && errno == EINTR);
  if (n >= 0) return {IoStatus::done, static_cast<std::size_t>(n)};
  error = errno;
  return {status_of_errno(error, IoStatus::want_write), 0};
}

} // namespace tmpdump::net
