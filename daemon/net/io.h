// SPDX-License-Identifier: Apache-2.0
// What a read or write that does not wait came to.
#pragma once

#include <cstddef>

namespace tmpdump::net {

enum class IoStatus {
  done,       // bytes > 0 were moved
  want_read,  // nothing moved; the socket must become readable first (TLS may need that to write)
  want_write, // nothing moved; the socket must become writable first
  end,        // the peer ended the stream in good order
  cut,        // the peer went away: reset, or TLS without its close_notify, so that bytes may be missing
  failed,     // anything else
};

struct Io {
  IoStatus status = IoStatus::failed;
  std::size_t bytes = 0;
};

} // namespace tmpdump::net
