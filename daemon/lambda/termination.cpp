// SPDX-License-Identifier: Apache-2.0
#include "lambda/termination.h"

#include "base/unique_fd.h"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <sys/eventfd.h>
#include <sys/time.h>
#include <unistd.h>

namespace tmpdump::lambda {

namespace asio = boost::asio;

namespace {

// SHUTDOWN must be over within 200 ms; what is cancelled ends within a few.
constexpr itimerval farewell{{}, {0, 150'000}};

// What a signal's handler may touch. Lock-free, so that it may.
std::atomic<int> wake_descriptor{-1}; // -1: nobody would wake up
std::atomic<bool> was_asked{false};
std::atomic<bool> ending{false};
std::atomic<int> exit_status{0};
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);

// Outputs that are not whole have no name: a process that just goes leaves nothing wrong behind.
void on_time_over(int /*number*/) {
  ::_exit(exit_status);
}

// Async-signal-safe: each of these is one system call.
void on_end(int /*number*/) {
  if (ending) return;
  const int descriptor = wake_descriptor;
  if (descriptor < 0) ::_exit(0);
  const int before = errno;
  if (!was_asked.exchange(true)) {
    (void)::setitimer(ITIMER_REAL, &farewell, nullptr);
    const std::uint64_t one = 1;
    (void)!::write(descriptor, &one, sizeof one);
  }
  errno = before;
}

void handle(int number, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  (void)::sigaction(number, &action, nullptr); // fails for numbers that are none
}

} // namespace

Termination::Termination(asio::io_context& context) : wake_(context) {
  UniqueFd made(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  boost::system::error_code error;
  if (made) wake_.assign(made.get(), error);
  if (made && !error) {
    wake_descriptor = made.release();
    wake_.async_wait(asio::posix::descriptor_base::wait_read, [](const boost::system::error_code& failed) {
      if (failed && failed != asio::error::operation_aborted) wake_descriptor = -1;
    });
  }
  handle(SIGALRM, on_time_over);
  handle(SIGTERM, on_end);
  handle(SIGINT, on_end);
}

Termination::~Termination() {
  ending = true; // before the descriptor's number is another's
}

bool Termination::asked() {
  return was_asked;
}

void Termination::begin_farewell(int status) {
  ending = true;
  exit_status = status;
  (void)::setitimer(ITIMER_REAL, &farewell, nullptr);
}

void Termination::cancel() {
  boost::system::error_code ignored;
  wake_.cancel(ignored);
}

} // namespace tmpdump::lambda
