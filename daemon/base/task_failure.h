// SPDX-License-Identifier: Apache-2.0
// What ended a coroutine that did not end by itself.
#pragma once

#include "base/error.h"

#include <exception>

namespace tmpdump {

// Errc::cancelled ("stopped") where it was cancelled, else what was thrown.
Failure failure_of(const std::exception_ptr& error);

} // namespace tmpdump
