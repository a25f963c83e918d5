// SPDX-License-Identifier: Apache-2.0
// libtmpdump-preload.so: LD_PRELOAD it, and a program waits for the files of a tmpdump without a change. Its
// calls that look for, open or load a file wait when the name is one that the archive holds, then go on to
// the C library with their arguments as they came. What fails here makes no call fail: it goes through, and
// one line on stderr says why the file is not there.
//
// State of the process, because interposed functions have no other place for it. It is written by whoever
// comes first, before there is a second thread, and by atomic operations afterwards; there are no locks,
// which a fork could leave held, and nothing is allocated.
#ifndef TMPDUMP_PRELOAD_SHIM_H
#define TMPDUMP_PRELOAD_SHIM_H

#include "internal.h"

// Debian 12 would link dlsym@GLIBC_2.34, which Amazon Linux 2 has not.
#if defined(__x86_64__)
#define TMPDUMP_OLDEST "GLIBC_2.2.5"
#elif defined(__aarch64__)
#define TMPDUMP_OLDEST "GLIBC_2.17"
#else
#error "which version of glibc was the first for this architecture?"
#endif
#define TMPDUMP_FROM_OLDEST(name) __asm__(".symver " #name ", " #name "@" TMPDUMP_OLDEST)

// The next definition of a function behind this library, NULL when there is none. All are looked up when this
// library is initialized, because dlsym takes the loader's lock: a thread that a library's constructor waits
// for would never get it. A call that comes before that looks up its own.
#define TMPDUMP_NEXT(name)                                                                                   \
  ({                                                                                                         \
    static struct tmpdump_next entry __attribute__((section("tmpdump_next"), used)) = {NULL, name};          \
    tmpdump_shim_next(&entry);                                                                               \
  })
struct tmpdump_next {
  void* function; // NULL until it was looked up
  const char* name;
};
void* tmpdump_shim_next(struct tmpdump_next* next);

// Where `directory` (AT_FDCWD: the current one) and `path` lead; waits as far as `use` asks. Keeps errno.
// Costs some 10 ns for a path elsewhere.
void tmpdump_shim_await(int directory, const char* path, enum tmpdump_use use);
// The same for the first argument of dlopen, called from `caller`.
void tmpdump_shim_await_load(const char* file, int mode, const void* caller);

// For search.c and where.c.
// Is the absolute path, or may it be, one of the archive's?
bool tmpdump_shim_is_below(const char* path);
// Does one of the two directories, both absolute, contain the other, the destination being one of them?
bool tmpdump_shim_is_near(const char* directory);
// Both also ask for the destination's path after symbolic links, once a manifest was found. Was it?
bool tmpdump_shim_has_other_name(void);
struct tmpdump_client* tmpdump_shim_client(void);
void tmpdump_shim_wait(const char* path, enum tmpdump_use use);
const char* tmpdump_shim_library_path(void); // LD_LIBRARY_PATH as the loader read it; never NULL

// where.c: relative names. The current directory is asked for once, and again after a change.
void tmpdump_shim_moved(void);
// False: they lead elsewhere, or do not fit. `full` has PATH_MAX bytes.
bool tmpdump_shim_absolute(int directory, const char* path, char* full);

// search.c: the path below the destination at which the loader will find the library `name` (without a
// slash), or would once it is there; false when it finds another one first, or none.
bool tmpdump_shim_search(const char* name, const void* caller, char* found);
// A path that begins with $ORIGIN, as the loader expands it for `caller`; false: it does not.
bool tmpdump_shim_expand(const char* path, size_t size, const void* caller, char* expanded);

#endif
