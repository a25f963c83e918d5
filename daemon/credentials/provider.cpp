// SPDX-License-Identifier: Apache-2.0
#include "credentials/answer.h"
#include "credentials/credentials.h"
#include "credentials/freshness.h"
#include "credentials/token.h"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>

namespace tmpdump::credentials {
namespace {

namespace asio = boost::asio;
using boost::asio::awaitable;
using std::chrono::milliseconds;

using Shared = std::shared_ptr<const Credentials>;

constexpr unsigned max_attempts = 3;
constexpr milliseconds refresh_budget{3000}; // all attempts and the pauses between them
constexpr milliseconds first_pause{100};     // doubled each time; half of it is random
constexpr std::size_t max_answer = 65'536;   // bytes; real answers have about 1,500

// One refresh. Those who come while it runs wait for `done`, a timer that is only ever cancelled.
struct Refresh {
  explicit Refresh(const asio::any_io_executor& executor)
      : done(executor, asio::steady_timer::time_point::max()) {}
  asio::steady_timer done;
  std::optional<result<Shared>> outcome; // none although done: cancelled, someone else has to do it
};

Failure no_credentials() {
  return {Errc::denied, "no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
                        "AWS_CONTAINER_CREDENTIALS_FULL_URI, or read a public object with --no-sign-request"};
}

net::Request request_for(const config::HttpUri& uri, const Secret& token) {
  net::Request request;
  request.target = uri.path;
  if (!uri.query.empty()) request.target.append("?").append(uri.query.reveal());
  request.headers.push_back({"Accept", "application/json", false});
  if (!token.empty()) request.headers.push_back({"Authorization", std::string(token.reveal()), true});
  return request;
}

// Without path and query: ECS's path holds an identifier that is as good as a password.
std::string display(const config::HttpUri& uri) {
  return config::display(config::SourceUri(config::HttpUri{uri.tls, uri.host, uri.port, "", {}}));
}

} // namespace

struct Provider::State {
  Exchange exchange;
  Now now;
  bool sign = true;
  std::optional<config::ContainerEndpoint> endpoint; // none: `current` is all there is
  Shared current;
  std::chrono::system_clock::time_point pause_until{}; // stale ones are used without asking until then
  std::shared_ptr<Refresh> running;
  std::minstd_rand random{std::random_device{}()};

  [[nodiscard]] bool can_use_current(bool even_stale) const {
    if (!current) return false;
    switch (freshness(*current, now())) {
    case Freshness::fresh:
      return true;
    case Freshness::stale:
      return even_stale || now() < pause_until;
    case Freshness::expired:
      break;
    }
    return false;
  }

  milliseconds pause_after(unsigned attempt) {
    const auto whole = first_pause.count() << attempt;
    return milliseconds(std::uniform_int_distribution<milliseconds::rep>(whole / 2, whole)(random));
  }

  static awaitable<result<Shared>> get(std::shared_ptr<State> state);
  static awaitable<result<Shared>> refresh(std::shared_ptr<State> state);
  static awaitable<result<Credentials>> fetch(std::shared_ptr<State> state);
};

awaitable<result<Shared>> Provider::State::get(std::shared_ptr<State> state) {
  for (;;) {
    if (!state->sign || state->can_use_current(false)) co_return state->current;
    if (!state->endpoint) co_return no_credentials();
    if (!state->running) co_return co_await refresh(state);
    const std::shared_ptr<Refresh> other = state->running;
    boost::system::error_code cancelled_when_done;
    co_await other->done.async_wait(asio::redirect_error(asio::use_awaitable, cancelled_when_done));
    const auto cancellation = co_await asio::this_coro::cancellation_state;
    if (cancellation.cancelled() != asio::cancellation_type::none)
      co_return Failure{Errc::cancelled, "waiting for credentials was cancelled"};
    if (other->outcome) co_return *other->outcome;
  }
}

awaitable<result<Shared>> Provider::State::refresh(std::shared_ptr<State> state) {
  // Wakes the others however this coroutine ends: by returning, by an exception, or destroyed while
  // suspended.
  struct Announce {
    State& state;
    std::shared_ptr<Refresh> refresh;
    Announce(State& owner, std::shared_ptr<Refresh> own) : state(owner), refresh(std::move(own)) {
      state.running = refresh;
    }
    Announce(const Announce&) = delete;
    Announce& operator=(const Announce&) = delete;
    ~Announce() {
      state.running.reset();
      refresh->done.cancel();
    }
  };
  const Announce announce(*state, std::make_shared<Refresh>(co_await asio::this_coro::executor));

  auto fetched = co_await fetch(state);
  if (!fetched && fetched.error().code == Errc::cancelled) co_return fetched.error();
  state->pause_until = state->now() + pause_between_refreshes;
  result<Shared> outcome = no_credentials();
  if (fetched) {
    state->current = std::make_shared<const Credentials>(std::move(*fetched));
    outcome = state->current;
  } else if (state->can_use_current(true)) {
    outcome = state->current;
  } else {
    outcome = fetched.error().within("credentials from " + display(state->endpoint->uri));
  }
  announce.refresh->outcome = outcome;
  co_return outcome;
}

awaitable<result<Credentials>> Provider::State::fetch(std::shared_ptr<State> state) {
  TMPDUMP_CO_TRY(const Secret token, authorization_token(*state->endpoint));
  const config::HttpUri& uri = state->endpoint->uri;
  const net::Origin origin{uri.tls, uri.host, uri.port};
  net::Request request = request_for(uri, token);
  const net::SecretsWipedAtEnd wiped(request);
  const auto deadline = std::chrono::steady_clock::now() + refresh_budget;
  Failure last{Errc::timeout, "no answer within 3 s"};
  for (unsigned attempt = 0; attempt < max_attempts; ++attempt) {
    if (attempt > 0) {
      asio::steady_timer timer(co_await asio::this_coro::executor, state->pause_after(attempt - 1));
      boost::system::error_code cancelled;
      co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
      if (cancelled) co_return Failure{Errc::cancelled, "asking for credentials was cancelled"};
    }
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) break;
    const milliseconds share(left.count() / (max_attempts - attempt) + 1); // a hung attempt leaves time
    auto response = co_await state->exchange(origin, request, max_answer, share);
    if (!response) {
      last = response.error();
      if (last.lasting || (last.code != Errc::network && last.code != Errc::timeout)) break;
      continue;
    }
    const Secret body(std::move(response->body)); // overwritten after use
    if (response->head.status == 200) co_return parse_answer(body.reveal(), state->now());
    last = refusal(response->head.status, body.reveal(), token);
    if (!is_transient(response->head.status)) break;
  }
  co_return last;
}

Provider::Provider(const config::Options& options, Exchange exchange, Now now)
    : state_(std::make_shared<State>()) {
  state_->exchange = std::move(exchange);
  state_->now = std::move(now);
  state_->sign = !options.no_sign_request;
  if (!state_->sign) return;
  if (options.static_keys) {
    const config::StaticKeys& keys = *options.static_keys;
    state_->current = std::make_shared<const Credentials>(
        Credentials{keys.access_key_id, keys.secret_access_key, keys.session_token, {}});
  } else {
    state_->endpoint = options.container_endpoint;
  }
}

Provider::~Provider() = default;

awaitable<result<Shared>> Provider::get() {
  return State::get(state_);
}

bool Provider::invalidate(const std::shared_ptr<const Credentials>& rejected) {
  if (!state_->endpoint) return false;
  if (rejected && state_->current == rejected) state_->current.reset();
  return true;
}

} // namespace tmpdump::credentials
