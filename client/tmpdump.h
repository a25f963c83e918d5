// SPDX-License-Identifier: Apache-2.0
// Waiting for the files that tmpdump brings: link with -ltmpdump, or load libtmpdump.so.
//
//   int code = tmpdump_wait_file("/tmp/lib/libtorch.so", 8000);
//   if (code == TMPDUMP_OK || code == TMPDUMP_NOT_IN_ARCHIVE) handle = dlopen("/tmp/lib/libtorch.so",
//   RTLD_NOW);
//
// Conventions
// - The destination is $TMPDUMP_DEST, else /tmp, as the environment says when the first call finds a manifest
//   there; a later change is not seen.
// - Time limits are milliseconds: 0 looks and returns at once, -1 (any negative) sets no limit.
// - No call hangs, whatever the limit: the daemon's failure and the daemon's death end every wait (death is
//   noticed within 100 ms), and where no daemon ever started the calls return at once.
// - All calls may be made from any thread at any time, and from a process that was forked. None allocates
// from
//   the heap, none starts a thread, none keeps a descriptor open, none changes signal handling or, unless it
//   returns TMPDUMP_SYSTEM, errno. They are not async-signal-safe.
// - What the manifest says is believed only if it and its directory belong to root or to the effective user
// and
//   nobody else may write them. A damaged manifest is an error, never a crash, also one that is truncated
//   or written over while somebody waits.
#ifndef TMPDUMP_H
#define TMPDUMP_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define TMPDUMP_API __attribute__((visibility("default")))
#else
#define TMPDUMP_API
#endif

// Values never change their meaning.
enum tmpdump_code {
  TMPDUMP_OK = 0,
  TMPDUMP_NOT_IN_ARCHIVE = 1, // the archive holds no such file, or the path is not below the destination
  TMPDUMP_TIMEOUT = 2,        // the time limit passed first
  TMPDUMP_NO_DAEMON = 3,      // there is no manifest: no daemon was started for this destination
  TMPDUMP_DAEMON_DIED = 4,    // the daemon ended before the file was ready
  TMPDUMP_FAILED = 5,         // the daemon gave up; tmpdump_reason() says why
  TMPDUMP_BAD_MANIFEST = 6,   // the manifest is damaged
  TMPDUMP_UNTRUSTED = 7,      // somebody else owns, or may write, the manifest or its directory
  TMPDUMP_VERSION = 8,        // the manifest is of a version that this library does not know
  TMPDUMP_INVALID = 9,        // an argument is NULL, empty, or longer than PATH_MAX
  TMPDUMP_SYSTEM = 10,        // a system call failed; errno says how
};

// Waits until every file of the archive is at its place.
TMPDUMP_API int tmpdump_wait(int timeout_ms);

// Waits until this file and, of the archive, all that it needs is at its place: the libraries that it names
// (DT_NEEDED, transitively) and the target of a symbolic link. `path` is absolute, or relative to the
// destination. When the file is ready this costs tens of nanoseconds.
TMPDUMP_API int tmpdump_wait_file(const char* path, int timeout_ms);

enum tmpdump_state {
  TMPDUMP_IS_STARTING = 1, // the list of files is not known yet
  TMPDUMP_IS_LISTED = 2,   // files become ready one by one
  TMPDUMP_IS_READY = 3,
  TMPDUMP_IS_FAILED = 4,
};

// Grows at its end only. Times: CLOCK_MONOTONIC, ns; 0: did not happen.
struct tmpdump_report {
  size_t size; // in: sizeof(struct tmpdump_report), set by the caller; what lies beyond is not touched
  uint32_t state;
  uint32_t daemon_alive; // 1: at this moment; a daemon may end once the state is ready or failed
  uint32_t failure_code; // 0: none; values are in manifest.md
  uint32_t pid;
  uint64_t generation; // grows by one with every start of the daemon
  uint64_t started_ns;
  uint64_t listed_ns;
  uint64_t finished_ns;
  uint64_t files_total;
  uint64_t files_published;
  uint64_t files_kept; // published without a download: they were there from before
  uint64_t bytes_total;
  uint64_t bytes_published;
  uint64_t bytes_received; // compressed
  uint64_t requests;
  uint64_t retries;
  uint64_t hedges;
};

// Fills *out without waiting. On any code but TMPDUMP_OK nothing but zeros is in it (size stays).
TMPDUMP_API int tmpdump_status(struct tmpdump_report* out);

// Copies the daemon's own reason for TMPDUMP_FAILED, cut to `size` - 1 bytes and ended by NUL, into `buffer`;
// printable. Returns the whole reason's length; 0: there is none. `buffer` may be NULL when `size` is 0.
TMPDUMP_API size_t tmpdump_reason(char* buffer, size_t size);

// What a code means, a static string; never NULL.
TMPDUMP_API const char* tmpdump_strerror(int code);

#ifdef __cplusplus
}
#endif

#endif
