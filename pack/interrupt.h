// SPDX-License-Identifier: Apache-2.0
// Ctrl-C between two steps of the work, so that what the work has made for itself is removed.
#pragma once

#include "base/error.h"
#include "base/unique_fd.h"

#include <csignal>
#include <poll.h>
#include <sys/signalfd.h>

namespace tmpdump::pack {

// Made before the first thread: SIGINT, SIGTERM and SIGHUP no longer end the process but the next check().
class Interrupt {
public:
  Interrupt() {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP})
      sigaddset(&set, signal);
    (void)::pthread_sigmask(SIG_BLOCK, &set, nullptr);
    fd_ = UniqueFd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  }
  [[nodiscard]] result<void> check() const {
    pollfd waiting{fd_.get(), POLLIN, 0};
    if (::poll(&waiting, 1, 0) > 0) return Failure{Errc::cancelled, "interrupted; nothing was written"};
    return {};
  }

private:
  UniqueFd fd_;
};

} // namespace tmpdump::pack
