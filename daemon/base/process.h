// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace tmpdump {

// Highest resident set of this process in bytes, 0 where /proc does not tell. Not getrusage: its figure
// survives exec, and so is the parent's.
std::uint64_t peak_memory();

// At the start of a process that is going to be idle one day: a thread's heap keeps at most half a MiB that
// is free, and larger blocks are mappings of their own. glibc would let both grow with the largest block that
// was ever freed, and give_back_memory() does not reach the free end of another thread's heap: 8 MiB a
// decoder, after zstd. More costs idle memory, less a system call for each 256 KiB of buffers.
void bound_free_heap();

// For a process that is going to do nothing for long: free heap goes back to the kernel, and the program's
// own pages, code and constants, are no longer counted as its. Those come back from the page cache as they
// are touched. About half a millisecond.
void give_back_memory();

} // namespace tmpdump
