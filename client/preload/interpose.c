// SPDX-License-Identifier: Apache-2.0
// The calls by which runtimes look for a library before they load it, and by which programs come to other
// files of an archive. Each under all the names that it has had: which one a program calls depends on the
// glibc that it was built with. Where the C library lacks one the kernel is asked directly.
#include "preload/shim.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORTED __attribute__((visibility("default")))

// The next function of this name, as `type`.
#define NEXT(type, name) ((type*)TMPDUMP_NEXT(name))

static_assert(sizeof(struct stat) == sizeof(struct stat64), "64-bit targets");

static int kernel_stat(int directory, const char* path, void* out, int flags) {
  return (int)syscall(SYS_newfstatat, directory, path, out, flags);
}

static enum tmpdump_use use_of_flags(int flags) {
  return (flags & AT_SYMLINK_NOFOLLOW) != 0 ? TMPDUMP_USE_NAME : TMPDUMP_USE_FILE;
}

// stat(path, out), under its names.
#define DEFINE_STAT(name, record, use, flags)                                                                \
  EXPORTED int name(const char* restrict path, struct record* restrict out) {                                \
    tmpdump_shim_await(AT_FDCWD, path, use);                                                                 \
    typedef int function(const char*, struct record*);                                                       \
    function* const next = NEXT(function, #name);                                                            \
    return next != NULL ? next(path, out) : kernel_stat(AT_FDCWD, path, out, flags);                         \
  }
DEFINE_STAT(stat, stat, TMPDUMP_USE_FILE, 0)
DEFINE_STAT(stat64, stat64, TMPDUMP_USE_FILE, 0)
DEFINE_STAT(lstat, stat, TMPDUMP_USE_NAME, AT_SYMLINK_NOFOLLOW)
DEFINE_STAT(lstat64, stat64, TMPDUMP_USE_NAME, AT_SYMLINK_NOFOLLOW)

#define DEFINE_STAT_AT(name, record)                                                                         \
  EXPORTED int name(int directory, const char* restrict path, struct record* restrict out, int flags) {      \
    tmpdump_shim_await(directory, path, use_of_flags(flags));                                                \
    typedef int function(int, const char*, struct record*, int);                                             \
    function* const next = NEXT(function, #name);                                                            \
    return next != NULL ? next(directory, path, out, flags) : kernel_stat(directory, path, out, flags);      \
  }
DEFINE_STAT_AT(fstatat, stat)
DEFINE_STAT_AT(fstatat64, stat64)

// Until glibc 2.33 stat() was an inline call of these. The version is that of the record: one a machine.
#define DEFINE_OLD_STAT(name, record, use, flags)                                                            \
  EXPORTED int name(int version, const char* path, struct record* out);                                      \
  EXPORTED int name(int version, const char* path, struct record* out) {                                     \
    tmpdump_shim_await(AT_FDCWD, path, use);                                                                 \
    typedef int function(int, const char*, struct record*);                                                  \
    function* const next = NEXT(function, #name);                                                            \
    return next != NULL ? next(version, path, out) : kernel_stat(AT_FDCWD, path, out, flags);                \
  }
DEFINE_OLD_STAT(__xstat, stat, TMPDUMP_USE_FILE, 0)
DEFINE_OLD_STAT(__xstat64, stat64, TMPDUMP_USE_FILE, 0)
DEFINE_OLD_STAT(__lxstat, stat, TMPDUMP_USE_NAME, AT_SYMLINK_NOFOLLOW)
DEFINE_OLD_STAT(__lxstat64, stat64, TMPDUMP_USE_NAME, AT_SYMLINK_NOFOLLOW)

#define DEFINE_OLD_STAT_AT(name, record)                                                                     \
  EXPORTED int name(int version, int directory, const char* path, struct record* out, int flags);            \
  EXPORTED int name(int version, int directory, const char* path, struct record* out, int flags) {           \
    tmpdump_shim_await(directory, path, use_of_flags(flags));                                                \
    typedef int function(int, int, const char*, struct record*, int);                                        \
    function* const next = NEXT(function, #name);                                                            \
    return next != NULL ? next(version, directory, path, out, flags)                                         \
                        : kernel_stat(directory, path, out, flags);                                          \
  }
DEFINE_OLD_STAT_AT(__fxstatat, stat)
DEFINE_OLD_STAT_AT(__fxstatat64, stat64)

EXPORTED int statx(int directory, const char* restrict path, int flags, unsigned mask,
                   struct statx* restrict out) {
  tmpdump_shim_await(directory, path, use_of_flags(flags));
  typedef int function(int, const char*, int, unsigned, struct statx*);
  function* const next = NEXT(function, "statx"); // since 2.28
  return next != NULL ? next(directory, path, flags, mask, out)
                      : (int)syscall(SYS_statx, directory, path, flags, mask, out);
}

EXPORTED int access(const char* path, int mode) {
  tmpdump_shim_await(AT_FDCWD, path, TMPDUMP_USE_FILE);
  typedef int function(const char*, int);
  function* const next = NEXT(function, "access");
  return next != NULL ? next(path, mode) : (int)syscall(SYS_faccessat, AT_FDCWD, path, mode);
}

EXPORTED int faccessat(int directory, const char* path, int mode, int flags) {
  tmpdump_shim_await(directory, path, use_of_flags(flags));
  typedef int function(int, const char*, int, int);
  function* const next = NEXT(function, "faccessat");
  return next != NULL ? next(directory, path, mode, flags)
                      : (int)syscall(SYS_faccessat, directory, path, mode);
}

// A mode is given, and may be read, only with these.
static bool has_mode(int flags) {
  return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
}

// To open a directory is to list it, but for a place to begin (O_PATH) or to make a nameless file in. Where
// no link is followed the name may be a link's, unless a directory is asked for, as by who walks a tree.
static enum tmpdump_use use_of_open(int flags) {
  const bool lists = (flags & O_PATH) == 0 && (flags & O_TMPFILE) != O_TMPFILE;
  if ((flags & O_NOFOLLOW) != 0 && !(lists && (flags & O_DIRECTORY) != 0)) return TMPDUMP_USE_NAME;
  return lists ? TMPDUMP_USE_LIST : TMPDUMP_USE_FILE;
}

#define READ_MODE(flags)                                                                                     \
  mode_t mode = 0;                                                                                           \
  if (has_mode(flags)) {                                                                                     \
    va_list rest;                                                                                            \
    va_start(rest, flags);                                                                                   \
    mode = va_arg(rest, mode_t);                                                                             \
    va_end(rest);                                                                                            \
  }

#define DEFINE_OPEN(name)                                                                                    \
  EXPORTED int name(const char* path, int flags, ...) {                                                      \
    READ_MODE(flags)                                                                                         \
    tmpdump_shim_await(AT_FDCWD, path, use_of_open(flags));                                                  \
    typedef int function(const char*, int, ...);                                                             \
    function* const next = NEXT(function, #name);                                                            \
    return next != NULL ? next(path, flags, mode) : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);   \
  }
DEFINE_OPEN(open)
DEFINE_OPEN(open64)

#define DEFINE_OPEN_AT(name)                                                                                 \
  EXPORTED int name(int directory, const char* path, int flags, ...) {                                       \
    READ_MODE(flags)                                                                                         \
    tmpdump_shim_await(directory, path, use_of_open(flags));                                                 \
    typedef int function(int, const char*, int, ...);                                                        \
    function* const next = NEXT(function, #name);                                                            \
    return next != NULL ? next(directory, path, flags, mode)                                                 \
                        : (int)syscall(SYS_openat, directory, path, flags, mode);                            \
  }
DEFINE_OPEN_AT(openat)
DEFINE_OPEN_AT(openat64)

// What _FORTIFY_SOURCE makes of an open without a mode.
#define DEFINE_CHECKED_OPEN(name)                                                                            \
  EXPORTED int name(const char* path, int flags);                                                            \
  EXPORTED int name(const char* path, int flags) {                                                           \
    tmpdump_shim_await(AT_FDCWD, path, use_of_open(flags));                                                  \
    typedef int function(const char*, int);                                                                  \
    function* const next = NEXT(function, #name);                                                            \
    return next != NULL ? next(path, flags) : (int)syscall(SYS_openat, AT_FDCWD, path, flags, 0);            \
  }
DEFINE_CHECKED_OPEN(__open_2)
DEFINE_CHECKED_OPEN(__open64_2)

#define DEFINE_CHECKED_OPEN_AT(name)                                                                         \
  EXPORTED int name(int directory, const char* path, int flags);                                             \
  EXPORTED int name(int directory, const char* path, int flags) {                                            \
    tmpdump_shim_await(directory, path, use_of_open(flags));                                                 \
    typedef int function(int, const char*, int);                                                             \
    function* const next = NEXT(function, #name);                                                            \
    return next != NULL ? next(directory, path, flags)                                                       \
                        : (int)syscall(SYS_openat, directory, path, flags, 0);                               \
  }
DEFINE_CHECKED_OPEN_AT(__openat_2)
DEFINE_CHECKED_OPEN_AT(__openat64_2)

// What follows has no counterpart in the kernel; a C library without it has no program that calls it.
#define DEFINE_STREAM(name, result, use, parameters, arguments)                                              \
  EXPORTED result name parameters {                                                                          \
    tmpdump_shim_await(AT_FDCWD, path, use);                                                                 \
    typedef result function parameters;                                                                      \
    function* const next = NEXT(function, #name);                                                            \
    if (next != NULL) return next arguments;                                                                 \
    errno = ENOSYS;                                                                                          \
    return (result){0};                                                                                      \
  }
typedef FILE* stream;
typedef DIR* directory_stream;
typedef char* text;
DEFINE_STREAM(fopen, stream, TMPDUMP_USE_FILE, (const char* restrict path, const char* restrict mode),
              (path, mode))
DEFINE_STREAM(fopen64, stream, TMPDUMP_USE_FILE, (const char* restrict path, const char* restrict mode),
              (path, mode))
DEFINE_STREAM(opendir, directory_stream, TMPDUMP_USE_LIST, (const char* path), (path))
DEFINE_STREAM(realpath, text, TMPDUMP_USE_FILE, (const char* restrict path, char* restrict out), (path, out))
DEFINE_STREAM(canonicalize_file_name, text, TMPDUMP_USE_FILE, (const char* path), (path))
// NOLINTNEXTLINE(bugprone-reserved-identifier): it is the C library's
EXPORTED char* __realpath_chk(const char* path, char* out, size_t size);
DEFINE_STREAM(__realpath_chk, text, TMPDUMP_USE_FILE, (const char* path, char* out, size_t size),
              (path, out, size))

#define DEFINE_SCAN(name, record)                                                                            \
  EXPORTED int name(const char* restrict path, struct record*** restrict out,                                \
                    int (*filter)(const struct record*),                                                     \
                    int (*compare)(const struct record**, const struct record**)) {                          \
    tmpdump_shim_await(AT_FDCWD, path, TMPDUMP_USE_LIST);                                                    \
    typedef int function(const char*, struct record***, int (*)(const struct record*),                       \
                         int (*)(const struct record**, const struct record**));                             \
    function* const next = NEXT(function, #name);                                                            \
    if (next != NULL) return next(path, out, filter, compare);                                               \
    errno = ENOSYS;                                                                                          \
    return -1;                                                                                               \
  }
DEFINE_SCAN(scandir, dirent)
DEFINE_SCAN(scandir64, dirent64)

// Relative names mean something else from now on.
EXPORTED int chdir(const char* path) {
  tmpdump_shim_await(AT_FDCWD, path, TMPDUMP_USE_FILE);
  typedef int function(const char*);
  function* const next = NEXT(function, "chdir");
  const int result = next != NULL ? next(path) : (int)syscall(SYS_chdir, path);
  if (result == 0) tmpdump_shim_moved();
  return result;
}

EXPORTED int fchdir(int directory) {
  typedef int function(int);
  function* const next = NEXT(function, "fchdir");
  const int result = next != NULL ? next(directory) : (int)syscall(SYS_fchdir, directory);
  if (result == 0) tmpdump_shim_moved();
  return result;
}
