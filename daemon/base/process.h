// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/error.h"

#include <cstdint>

namespace tmpdump {

// At the start of a process that is going to hold keys: what it knows stays in it. No core is written, no
// other process of this user may trace it or read its memory (root may), and nothing that it could ever run
// gets more rights than it has. What the kernel denies of it is in the failure, the rest is done all the
// same.
result<void> keep_to_oneself();

// At the start of a process that maps files which others may truncate: the touch that follows is a SIGBUS,
// which then says `line` on the descriptor and ends the process with 1. `line` lives as long as the
// process.
void explain_bus_errors(int descriptor, const char* line);

// Highest resident set of this process in bytes, 0 where /proc does not tell. Not getrusage: its figure
// survives exec, and so is the parent's.
std::uint64_t peak_memory();

// At the start of a process that is going to be idle one day: a thread's heap keeps at most half a MiB that
// is free, and larger blocks are mappings of their own. glibc would let both grow with the largest block that
// was ever freed, and give_back_memory() does not reach the free end of another thread's heap: 8 MiB a
// decoder, after zstd. More costs idle memory, less a system call for each 256 KiB of buffers.
void bound_free_heap();

// Overwrites what functions that have returned left on this thread's stack, as far as parsers of keys
// go down.
void wipe_stack();

// For a process that is going to do nothing for long: free heap goes back to the kernel, and the program's
// own pages, code and constants, are no longer counted as its. Those come back from the page cache as they
// are touched. About half a millisecond.
void give_back_memory();

} // namespace tmpdump
