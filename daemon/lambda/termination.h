// SPDX-License-Identifier: Apache-2.0
// SIGTERM and SIGINT mean what SHUTDOWN means, and an end that has begun comes in time, whatever hangs.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

namespace tmpdump::lambda {

// Not Asio's signal_set: its pipe may fail to be set up without a word, and then nobody hears.
// One in the process, which keeps its handlers; used on the network thread.
class Termination {
public:
  // A signal wakes run_one(). Where that cannot be had, it ends the process at once with status 0: whoever
  // waits hears that the daemon died, and the next start removes what it left.
  explicit Termination(boost::asio::io_context& context);
  ~Termination();
  Termination(const Termination&) = delete;
  Termination& operator=(const Termination&) = delete;

  // Has one of the signals come?
  [[nodiscard]] static bool asked();
  // From here on the process has the promised time to end by itself. Then it goes as it is, with `status`,
  // even if this thread waits for another that is stuck in a system call. A signal has the same effect, with
  // status 0.
  static void begin_farewell(int status);
  // The context has nothing to do for us any more.
  void cancel();

private:
  boost::asio::posix::stream_descriptor wake_;
};

} // namespace tmpdump::lambda
