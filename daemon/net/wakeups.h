// SPDX-License-Identifier: Apache-2.0
// Whether an event loop can be woken at all.
#pragma once

#include "base/error.h"

namespace tmpdump::net {

// Asio adds the eventfd by which other threads wake it, and its timerfd, to its epoll without a look at the
// outcome (Boost 1.81, detail/impl/epoll_reactor.ipp); ENOSPC and ENOMEM are possible (epoll_ctl(2)). A loop
// without them would wait for ever for what decoders have done, or never see a deadline. Looks into
// /proc/self at all that this process has made itself, which is closed on exec; where /proc cannot be read,
// or does not tell, nothing fails. Call it after the first timer of each io_context has been made.
result<void> require_wakeups();

} // namespace tmpdump::net
