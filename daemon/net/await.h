// SPDX-License-Identifier: Apache-2.0
// How this module's coroutines wait: error codes come back as values, and time limits saturate.
#pragma once

#include "net/network.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace tmpdump::net {

// auto [ec] = co_await timer.async_wait(as_codes);
inline constexpr auto as_codes = boost::asio::as_tuple(boost::asio::use_awaitable);

inline constexpr Clock::time_point no_deadline = Clock::time_point::max();

// now + timeout; a timeout of a year or more, as milliseconds::max() for a long poll, is none.
inline Clock::time_point deadline_after(std::chrono::milliseconds timeout) {
  constexpr std::chrono::hours year{24 * 365};
  return timeout >= year ? no_deadline : Clock::now() + timeout;
}

inline bool is_cancelled(const boost::asio::cancellation_state& state) {
  return state.cancelled() != boost::asio::cancellation_type::none;
}

inline Failure cancelled(const Origin& origin) {
  return {Errc::cancelled, origin.display() + ": cancelled"};
}

} // namespace tmpdump::net
