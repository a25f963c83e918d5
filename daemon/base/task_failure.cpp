// SPDX-License-Identifier: Apache-2.0
#include "base/task_failure.h"

#include <boost/system/errc.hpp>
#include <boost/system/system_error.hpp>

#include <new>

namespace tmpdump {

Failure failure_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const boost::system::system_error& stopped) {
    if (stopped.code() == boost::system::errc::operation_canceled) return {Errc::cancelled, "stopped"};
    return {Errc::io, printable(stopped.what())};
  } catch (const std::bad_alloc&) {
    return {Errc::io, "out of memory: give the function, or this program, more"};
  } catch (const std::exception& other) {
    return {Errc::io, printable(other.what())};
  }
}

} // namespace tmpdump
