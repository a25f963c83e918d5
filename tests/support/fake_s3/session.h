// SPDX-License-Identifier: Apache-2.0
// One connection from its acceptance to its end.
#pragma once

#include "support/fake_s3.h"
#include "support/fake_s3/fault_schedule.h"
#include "support/fake_s3/http.h"
#include "support/fake_s3/request_log.h"
#include "support/fake_s3/service.h"
#include "support/fake_s3/shaper.h"
#include "support/fake_s3/stream.h"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

#include <atomic>
#include <cstdint>
#include <memory>

namespace tmpdump::test {

// What all connections share; each member is thread-safe.
struct Shared {
  explicit Shared(FakeS3Options given);
  [[nodiscard]] std::time_t now() const;

  const FakeS3Options options;
  ObjectStore objects;
  Service service;
  FaultSchedule faults;
  RequestLog log;
  TokenBucket total;
  std::atomic<std::int64_t> clock_offset{0}; // seconds
  std::atomic<std::uint64_t> accepted{0};
  std::atomic<std::uint64_t> open{0};
};

class Session {
public:
  // `shared` outlives the session.
  Session(Shared& shared, std::unique_ptr<Stream> stream, std::uint64_t number);
  ~Session() { --shared_.open; }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  boost::asio::awaitable<void> run();
  void reset(); // RST at once; from the session's own thread

private:
  using Awaited = boost::asio::awaitable<bool>; // true: the connection goes on

  Awaited serve(const Request& request);
  Awaited send(const Answer& answer, const Fault& fault, RequestRecord& record);
  Awaited send_body(const Answer& answer, const Fault& fault, RequestRecord& record);
  boost::asio::awaitable<bool> send_slice(const Segment& segment, std::uint64_t offset, std::uint64_t length,
                                          std::uint64_t& sent);
  boost::asio::awaitable<void> end(Cut::How how);
  boost::asio::awaitable<void> wait_until(TokenBucket::Clock::time_point when);

  [[nodiscard]] RequestRecord describe(const Request& request) const;
  [[nodiscard]] Answer make_answer(const Request& request, const RequestRecord& record,
                                   const Fault& fault) const;

  Shared& shared_;
  const std::unique_ptr<Stream> stream_;
  const std::uint64_t number_;
  boost::asio::steady_timer timer_;
  TokenBucket own_rate_;
};

// Reads and forgets until the peer closes or resets.
boost::asio::awaitable<void> wait_for_leave(Stream& stream);
// Plays a fault on a connection that was just accepted, or in its handshake.
boost::asio::awaitable<void> strike(Stream& stream, ConnectFault kind, std::uint64_t handshake_bytes);

} // namespace tmpdump::test
