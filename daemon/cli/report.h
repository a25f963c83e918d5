// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/error.h"

#include <cstdio>

namespace tmpdump::cli {

// One line on stderr; returns the exit status that goes with it.
inline int report(const Failure& failure) {
  (void)std::fprintf(stderr, "tmpdump: error: %s\n", failure.message.c_str());
  return exit_status(failure.code);
}

} // namespace tmpdump::cli
