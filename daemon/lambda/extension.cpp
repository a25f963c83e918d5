// SPDX-License-Identifier: Apache-2.0
#include "lambda/extension.h"

#include "base/process.h"
#include "base/task_failure.h"
#include "lambda/archive.h"
#include "lambda/extensions_api.h"
#include "lambda/log.h"
#include "lambda/report.h"
#include "lambda/termination.h"
#include "net/wakeups.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <csignal>
#include <cstdlib>
#include <exception>
#include <poll.h>

namespace tmpdump::lambda {

namespace asio = boost::asio;
using asio::awaitable;
using prefetch::Clock;

namespace {

// Of what a missing archive may be, what the original layer tolerates: no key, no bucket, no access.
bool is_missing(const Failure& failure) {
  return failure.code == Errc::not_found || failure.code == Errc::denied;
}

// One of the things that go on at the same time: how it ended, and how to end it.
template <class T>
struct Activity {
  std::optional<result<T>> outcome;
  asio::cancellation_signal stop;
  std::optional<Failure> reason; // for which it is stopped; none: it says by itself how it ended
  bool running = false;
};

class Extension {
public:
  Extension(result<config::Options> options, const Surroundings& surroundings)
      : options_(std::move(options)), around_(surroundings),
        log_(surroundings.print, options_ ? options_->log : config::LogLevel::info) {
    changed_.expires_at(Clock::time_point::max());
  }
  int run();

private:
  template <class T>
  void start(Activity<T>& activity, awaitable<result<T>> task);
  awaitable<result<int>> live();
  result<void> settle(const result<prefetch::Summary>& outcome);
  awaitable<void> give_up(const Failure& failure);
  void tell_ready(const prefetch::Summary& summary);
  awaitable<void> change();
  void rest();

  result<config::Options> options_;
  const Surroundings& around_;
  const Log log_;

  asio::io_context context_{1};
  asio::steady_timer changed_{context_}; // cancelled whenever an activity ends
  std::optional<net::Network> network_;
  std::optional<ExtensionsApi> api_;
  std::optional<manifest::Writer> manifest_;
  std::optional<Archive> archive_;
  Clock::time_point registered_at_;

  Activity<void> registration_;
  Activity<prefetch::Summary> prefetch_;
  Activity<Event> next_;
  bool settled_ = false; // ready, or missing and tolerated
  bool ending_ = false;  // a cancellation takes effect later than what is in the context's queue
};

template <class T>
void Extension::start(Activity<T>& activity, awaitable<result<T>> task) {
  activity.running = true;
  activity.outcome.reset();
  asio::co_spawn(
      context_, std::move(task),
      asio::bind_cancellation_slot(activity.stop.slot(),
                                   [this, &activity](const std::exception_ptr& error, result<T> outcome) {
                                     activity.running = false;
                                     if (error) outcome = failure_of(error);
                                     if (activity.reason) outcome = *activity.reason;
                                     activity.outcome.emplace(std::move(outcome));
                                     changed_.cancel();
                                   }));
}

// Throws when the extension ends.
awaitable<void> Extension::change() {
  boost::system::error_code ignored;
  co_await changed_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  if (ending_ ||
      (co_await asio::this_coro::cancellation_state).cancelled() != asio::cancellation_type::none) {
    throw boost::system::system_error(asio::error::operation_aborted);
  }
}

void Extension::tell_ready(const prefetch::Summary& summary) {
  RunReport report;
  report.version = around_.version;
  report.uri = config::display(options_->source);
  report.exec = around_.exec;
  report.registered = registered_at_;
  report.summary = summary;
  report.kept = archive_->kept();
  report.peak_memory = peak_memory();
  log_.say(ready_line(report));
  if (options_->metrics_emf) {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    log_.always(metrics_line(report, options_->function_name,
                             std::chrono::duration_cast<std::chrono::milliseconds>(now).count()));
  }
}

// Tells everybody how the prefetch ended. A failure is one that is not tolerated, and has not been told.
result<void> Extension::settle(const result<prefetch::Summary>& outcome) {
  auto finished = outcome ? archive_->finish(*outcome) : result<void>(outcome.error());
  if (finished) {
    tell_ready(*outcome);
    return {};
  }
  if (!is_missing(finished.error()) || options_->on_missing == config::OnMissing::fail) return finished;
  manifest_->fail(finished.error());
  log_.say(failure_line(finished.error(), true));
  return {};
}

// Waiters first: they are whom somebody waits for.
awaitable<void> Extension::give_up(const Failure& failure) {
  if (manifest_) manifest_->fail(failure);
  log_.say(failure_line(failure, false));
  if (!registration_.outcome || !*registration_.outcome) co_return; // Lambda does not know us
  const auto phase = next_.running ? ExtensionsApi::Phase::exit_error : ExtensionsApi::Phase::init_error;
  const auto told = co_await api_->report_error(phase, error_type(failure), failure.message);
  if (!told) log_.say(failure_line(told.error(), false));
}

// Returns the exit status.
awaitable<result<int>> Extension::live() {
  while (!registration_.outcome)
    co_await change();
  if (!*registration_.outcome) {
    co_await give_up(registration_.outcome->error());
    co_return 1;
  }
  registered_at_ = Clock::now();
  if (!options_) {
    co_await give_up(options_.error());
    co_return 1;
  }
  log_.say(debug_line("registered", around_.name));
  if (!options_->hold_init) start(next_, api_->next());

  for (;;) {
    if (next_.outcome) {
      if (!*next_.outcome) {
        log_.say(failure_line(next_.outcome->error(), false));
        co_return 1;
      }
      if ((*next_.outcome)->type == EventType::shutdown) co_return 0;
      start(next_, api_->next());
    }
    if (!prefetch_.outcome || settled_) {
      co_await change();
      continue;
    }
    if (const auto settled = settle(*prefetch_.outcome); !settled) {
      co_await give_up(settled.error());
      co_return 1;
    }
    settled_ = true;
    archive_.reset();
    options_->forget_secrets();
    wipe_stack();
    manifest_->keep_only_the_lock();
    if (!next_.running && !next_.outcome) start(next_, api_->next());
  }
}

// Between ready and SHUTDOWN the extension is a process that waits for one answer, perhaps for hours. Not in
// Asio's wait, which a timer ends every five minutes even where there is nothing to time.
void Extension::rest() {
  sigset_t ours, before;
  sigemptyset(&ours);
  sigaddset(&ours, SIGTERM);
  sigaddset(&ours, SIGINT);
  // A signal comes either before asked(), or in ppoll(), which it ends.
  pthread_sigmask(SIG_BLOCK, &ours, &before);
  context_.poll();
  pollfd answer{api_->idle_socket(), POLLIN, 0};
  if (settled_ && !Termination::asked() && answer.fd >= 0) {
    give_back_memory();
    (void)::ppoll(&answer, 1, nullptr, &before); // however it ends: the loop looks what there is
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

int Extension::run() {
  // No reason not to start, but nobody else would ever notice.
  if (!around_.exposed.empty()) log_.say(warning_line("exposed", around_.exposed));
  net::NetworkOptions network; // the Runtime API's: never TLS
  network.user_agent = user_agent(around_);
  network_.emplace(context_, network);
  auto api = ExtensionsApi::create(*network_, around_.runtime_api);
  if (!api) {
    log_.say(failure_line(api.error(), false));
    return exit_status(api.error().code);
  }
  api_.emplace(std::move(*api));

  Termination termination(context_);
  auto going_on = asio::make_work_guard(context_); // between two activities, too
  // Before register: the runtime starts once we have registered, and must find a manifest.
  auto writer =
      manifest::Writer::create(around_.destination, options_ ? config::display(options_->source) : "");
  if (writer) manifest_.emplace(std::move(*writer));
  start(registration_, api_->register_extension(around_.name));
  // The runtime waits for it: it goes out, as far as it can without waiting, before threads, libcrypto's
  // set-up and whatever else the archive needs.
  context_.poll();
  if (!writer) {
    prefetch_.outcome.emplace(local(writer.error()));
  } else if (options_) {
    archive_.emplace(context_, *options_, *manifest_, around_, log_);
    start(prefetch_, archive_->prefetch());
  }

  std::optional<int> status;
  bool lived = false;
  asio::cancellation_signal stop;
  asio::co_spawn(
      context_, live(),
      asio::bind_cancellation_slot(
          stop.slot(), [this, &status, &lived](const std::exception_ptr& error, const result<int>& code) {
            lived = true;
            status = error || !code ? 1 : *code;
          }));
  // While the archive's first request is on its way. Without them nobody would hear of what decoders do.
  context_.poll();
  if (const auto wakeups = net::require_wakeups(); !wakeups && prefetch_.running) {
    prefetch_.reason = local(wakeups.error());
    prefetch_.stop.emit(asio::cancellation_type::terminal);
  }
  // SIGTERM ends it in the middle of whatever it does, a report to a Runtime API that hangs for one.
  for (;;) {
    if (settled_) rest();
    if (status || Termination::asked() || context_.run_one() == 0) break;
  }
  const int code = status.value_or(Termination::asked() ? 0 : 1);
  Termination::begin_farewell(code);
  // First: what follows waits for decoders, and if one hangs in a write this is all that anybody hears.
  ending_ = true;
  if (manifest_ && !settled_) {
    manifest_->fail({Errc::cancelled, "the environment shut down before the archive was ready"});
  }
  stop.emit(asio::cancellation_type::terminal);
  registration_.stop.emit(asio::cancellation_type::terminal);
  prefetch_.stop.emit(asio::cancellation_type::terminal);
  next_.stop.emit(asio::cancellation_type::terminal);
  termination.cancel();
  going_on.reset();
  context_.run(); // until all have ended, or the farewell is over
  // What an activity refers to must not be destroyed before it.
  const bool all_ended = lived && !registration_.running && !prefetch_.running && !next_.running;
  if (!all_ended) std::_Exit(code);
  return code;
}

} // namespace

int run_extension(result<config::Options> options, const Surroundings& surroundings) {
  return Extension(std::move(options), surroundings).run();
}

} // namespace tmpdump::lambda
