// SPDX-License-Identifier: Apache-2.0
// Runs one coroutine to its end on an io_context that servers live on too: no threads, no order left to
// chance.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <exception>
#include <optional>
#include <stdexcept>
#include <utility>

namespace tmpdump::test {

template <class T>
class Running {
public:
  Running(boost::asio::io_context& context, boost::asio::awaitable<T> work) : context_(context) {
    boost::asio::co_spawn(
        context, keep(std::move(work)),
        boost::asio::bind_cancellation_slot(signal_.slot(), [this](std::exception_ptr thrown) {
          thrown_ = thrown;
          done_ = true;
        }));
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  void cancel() { signal_.emit(boost::asio::cancellation_type::terminal); }
  // Runs the context until `ready`, which must become true by what the context does.
  template <class Predicate>
  void run_until(Predicate ready) {
    while (!ready()) {
      if (context_.run_one() == 0) throw std::logic_error("nothing left to run, and it did not happen");
    }
  }
  [[nodiscard]] bool done() const { return done_; }
  T get() {
    run_until([this] { return done_; });
    if (thrown_) std::rethrow_exception(thrown_);
    return std::move(*value_);
  }

private:
  boost::asio::awaitable<void> keep(boost::asio::awaitable<T> work) {
    value_.emplace(co_await std::move(work));
  }

  boost::asio::io_context& context_;
  boost::asio::cancellation_signal signal_;
  std::optional<T> value_;
  std::exception_ptr thrown_;
  bool done_ = false;
};

template <class T>
T run(boost::asio::io_context& context, boost::asio::awaitable<T> work) {
  return Running<T>(context, std::move(work)).get();
}

} // namespace tmpdump::test
