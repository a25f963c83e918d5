// SPDX-License-Identifier: Apache-2.0
#include "net/connector.h"

#include "net/await.h"

#include <boost/asio/steady_timer.hpp>

#include <algorithm>

namespace tmpdump::net {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

// The attempts of one connect(). Handlers of attempts that lost come after it is over, and find `over` set.
struct Race : std::enable_shared_from_this<Race> {
  struct Attempt {
    tcp::socket socket;
    asio::ip::address address;
    Clock::time_point deadline;
    bool pending = true;
    bool timed_out = false;
    boost::system::error_code error;
  };

  Race(asio::io_context& io, std::chrono::milliseconds limit) : context(io), changed(io), timeout(limit) {}

  void start(const asio::ip::address& address, std::uint16_t port);
  void finish(Attempt& attempt, boost::system::error_code error);
  void expire(Clock::time_point now);
  void end();

  asio::io_context& context;
  asio::steady_timer
      changed; // expires when there is something to do by the clock, cancelled when an attempt ends
  std::chrono::milliseconds timeout;
  std::vector<std::unique_ptr<Attempt>> attempts;
  Attempt* winner = nullptr;
  bool over = false;
};

void Race::start(const asio::ip::address& address, std::uint16_t port) {
  auto& attempt = *attempts.emplace_back(std::make_unique<Attempt>(
      Attempt{tcp::socket(context), address, deadline_after(timeout), true, false, {}}));
  const tcp::endpoint endpoint(address, port);
  boost::system::error_code error;
  attempt.socket.open(endpoint.protocol(),
                      error); // NOLINT(bugprone-unused-return-value): the code is `error`
  // A request is one write, and must not wait for the acknowledgement of an earlier one.
  if (!error) attempt.socket.set_option(tcp::no_delay(true), error); // NOLINT(bugprone-unused-return-value)
  if (error) return finish(attempt, error);
  attempt.socket.async_connect(endpoint, [self = shared_from_this(), &attempt](boost::system::error_code ec) {
    if (!self->over) self->finish(attempt, ec);
  });
}

void Race::finish(Attempt& attempt, boost::system::error_code error) {
  if (!std::exchange(attempt.pending, false)) return;
  attempt.error = error;
  if (!error && winner == nullptr) winner = &attempt;
  changed.cancel();
}

void Race::expire(Clock::time_point now) {
  for (const auto& attempt : attempts) {
    if (!attempt->pending || now < attempt->deadline) continue;
    attempt->timed_out = true;
    finish(*attempt, asio::error::timed_out);
    boost::system::error_code ignored;
    attempt->socket.close(ignored); // NOLINT(bugprone-unused-return-value)
  }
}

void Race::end() {
  over = true;
  for (const auto& attempt : attempts) {
    boost::system::error_code ignored;
    attempt->socket.close(ignored); // NOLINT(bugprone-unused-return-value)
  }
}

// Ends the race however its coroutine is left.
struct Finish {
  Race& race;
  explicit Finish(Race& run) : race(run) {}
  Finish(const Finish&) = delete;
  Finish& operator=(const Finish&) = delete;
  ~Finish() { race.end(); }
};

Failure nobody_answered(const Race& race, const Origin& origin) {
  const bool all_silent = std::all_of(race.attempts.begin(), race.attempts.end(),
                                      [](const auto& attempt) { return attempt->timed_out; });
  const std::string silence = "no answer within " + std::to_string(race.timeout.count()) + " ms";
  std::string message = "connect to " + origin.display() + ": ";
  if (all_silent) message += silence + " (tried ";
  const char* separator = "";
  for (const auto& attempt : race.attempts) {
    message.append(std::exchange(separator, ", ")).append(attempt->address.to_string());
    if (!all_silent) message.append(": ").append(attempt->timed_out ? silence : attempt->error.message());
  }
  if (all_silent) return {Errc::timeout, message + "); check routes and security groups"};
  return {Errc::network, std::move(message)};
}

} // namespace

asio::awaitable<result<tcp::socket>> Connector::connect(const Origin& origin, Addresses addresses) {
  const Origin to = origin;
  const Addresses order = book_.order(to.host, addresses, Clock::now());
  const auto race = std::make_shared<Race>(context_, timeout_);
  const Finish finish(*race);
  Clock::time_point next_start{}; // of order[race->attempts.size()]; at once when an attempt fails
  for (;;) {
    const auto now = Clock::now();
    race->expire(now);
    if (race->winner != nullptr) break;
    const bool all_ended = std::all_of(race->attempts.begin(), race->attempts.end(),
                                       [](const auto& attempt) { return !attempt->pending; });
    const bool newest_ended = race->attempts.empty() || !race->attempts.back()->pending;
    if (race->attempts.size() < order.size() && (newest_ended || now >= next_start)) {
      race->start(order[race->attempts.size()], to.port);
      next_start = now + stagger;
      continue;
    }
    if (all_ended) break;
    auto wake = race->attempts.size() < order.size() ? next_start : no_deadline;
    for (const auto& attempt : race->attempts) {
      if (attempt->pending) wake = std::min(wake, attempt->deadline);
    }
    race->changed.expires_at(wake);
    (void)co_await race->changed.async_wait(as_codes);
    if (is_cancelled(co_await asio::this_coro::cancellation_state)) co_return cancelled(to);
  }
  // Those that failed, and those that were so slow that a later one overtook them.
  bool overtaken = true;
  for (const auto& attempt : race->attempts) {
    if (attempt.get() == race->winner) {
      overtaken = false;
    } else if (overtaken || attempt->error) {
      book_.failed(attempt->address, Clock::now());
    }
  }
  if (race->winner == nullptr) co_return nobody_answered(*race, to);
  book_.worked(race->winner->address);
  co_return std::move(race->winner->socket);
}

} // namespace tmpdump::net
