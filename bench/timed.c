// SPDX-License-Identifier: Apache-2.0
// timed REPORT FILE SIZE PROGRAM [ARGUMENT...]: runs PROGRAM and writes one line into the file REPORT:
//   wall nanoseconds, user microseconds, system microseconds, peak RSS in KiB, exit status (128 + signal),
//   nanoseconds until FILE was there with SIZE bytes (-1: never seen).
// FILE is absolute; its folder may be made by PROGRAM, below one that exists. "-" for nothing to look for.
// Why not from Python: Linux counts the resident set of the process that execs into the new program's peak
// (setmax_mm_hiwater_rss in fs/exec.c), so a child of a 30 MB interpreter never reports less than 30 MB.
// The figures are wait4's: CPU sums PROGRAM and the children that it waited for, the peak is the largest
// one's.
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char** environ;

static long long now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (long long)now.tv_sec * 1000000000LL + now.tv_nsec;
}

static long long microseconds(struct timeval time) {
  return (long long)time.tv_sec * 1000000LL + time.tv_usec;
}

// What is looked for, and how far down its path inotify watches by now.
struct Search {
  const char* file;
  long long size;
  int notify, watch;
  size_t watched; // bytes of `file` that are the watched folder's path
};

static int is_whole(const struct Search* search) {
  struct stat status;
  return lstat(search->file, &status) == 0 && S_ISREG(status.st_mode) && status.st_size == search->size;
}

// Watches the deepest folder of the path that exists. A writer closes, or a whole file gets its name by a
// rename or a link. In the file's own folder a mere creation says nothing, above it a folder may come.
static void descend(struct Search* search) {
  const char* last = strrchr(search->file, '/');
  for (;;) {
    size_t length = (size_t)(last - search->file);
    char folder[PATH_MAX];
    while (length > search->watched) {
      memcpy(folder, search->file, length);
      folder[length] = 0;
      const int own = search->file + length == last;
      const int watch = inotify_add_watch(search->notify, folder,
                                          own ? IN_CLOSE_WRITE | IN_MOVED_TO : IN_CREATE | IN_MOVED_TO);
      if (watch >= 0) {
        if (search->watch >= 0) inotify_rm_watch(search->notify, search->watch);
        search->watch = watch;
        break;
      }
      do
        --length;
      while (length > search->watched && search->file[length] != '/');
    }
    if (length <= search->watched) return; // nothing new: the watch was there before what we looked for
    search->watched = length;
  }
}

// 1: the file is there.
static int look(struct Search* search) {
  char events[16384];
  const int own = strrchr(search->file, '/') == search->file + search->watched;
  const char* name = strrchr(search->file, '/') + 1;
  int seen = 0;
  for (ssize_t size; (size = read(search->notify, events, sizeof events)) > 0;) {
    for (char* at = events; at < events + size;) {
      const struct inotify_event* event = (const struct inotify_event*)at;
      if (!own || (event->len > 0 && strcmp(event->name, name) == 0)) seen = 1;
      at += sizeof *event + event->len;
    }
  }
  if (!own && seen) {
    descend(search);
    return is_whole(search); // it may have come before the watch
  }
  return own && seen && is_whole(search);
}

int main(int argc, char** argv) {
  if (argc < 5) {
    fprintf(stderr, "usage: timed REPORT FILE SIZE PROGRAM [ARGUMENT...]\n");
    return 2;
  }
  FILE* report = fopen(argv[1], "we");
  if (!report) {
    fprintf(stderr, "timed: %s: %s\n", argv[1], strerror(errno));
    return 1;
  }
  struct Search search = {argv[2], atoll(argv[3]), -1, -1, 0};
  const int searching = strcmp(argv[2], "-") != 0;
  if (searching) {
    search.notify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (search.file[0] != '/' || search.notify < 0) return 2;
    descend(&search);
  }
  umask(022);
  const long long start = now_ns();
  long long found = -1;
  pid_t pid = 0;
  const int error = posix_spawnp(&pid, argv[4], NULL, NULL, argv + 4, environ);
  if (error) {
    fprintf(stderr, "timed: %s: %s\n", argv[4], strerror(error));
    return 1;
  }
  const int ended = (int)syscall(SYS_pidfd_open, pid, 0);
  struct pollfd both[] = {{search.notify, POLLIN, 0}, {ended, POLLIN, 0}};
  while (searching && ended >= 0 && found < 0) {
    if (poll(both, 2, -1) < 0 && errno != EINTR) break;
    if ((both[0].revents & POLLIN) && look(&search)) found = now_ns() - start;
    if (both[1].revents & POLLIN) break;
  }
  if (search.notify >= 0) close(search.notify); // from here on what comes costs nobody anything
  int status = 0;
  struct rusage usage;
  while (wait4(pid, &status, 0, &usage) < 0) {
    if (errno != EINTR) return 1;
  }
  const long long wall = now_ns() - start;
  if (searching && found < 0 && is_whole(&search)) found = wall;
  fprintf(report, "%lld %lld %lld %ld %d %lld\n", wall, microseconds(usage.ru_utime),
          microseconds(usage.ru_stime), usage.ru_maxrss,
          WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), found);
  return fclose(report) == 0 ? 0 : 1;
}
