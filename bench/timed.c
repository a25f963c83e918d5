// SPDX-License-Identifier: Apache-2.0
// timed REPORT PROGRAM [ARGUMENT...]: runs PROGRAM and writes one line into the file REPORT:
//   wall nanoseconds, user microseconds, system microseconds, peak RSS in KiB, exit status (128 + signal).
// Why not from Python: Linux counts the resident set of the process that execs into the new program's peak
// (setmax_mm_hiwater_rss in fs/exec.c), so a child of a 30 MB interpreter never reports less than 30 MB.
// The figures are wait4's: CPU sums PROGRAM and the children that it waited for, the peak is the largest
// one's.
#define _GNU_SOURCE
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

extern char** environ;

static long long now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (long long)now.tv_sec * 1000000000LL + now.tv_nsec;
}

static long long microseconds(struct timeval time) {
  return (long long)time.tv_sec * 1000000LL + time.tv_usec;
}

int main(int argc, char** argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: timed REPORT PROGRAM [ARGUMENT...]\n");
    return 2;
  }
  FILE* report = fopen(argv[1], "we");
  if (!report) {
    fprintf(stderr, "timed: %s: %s\n", argv[1], strerror(errno));
    return 1;
  }
  umask(022);
  const long long start = now_ns();
  pid_t pid = 0;
  const int error = posix_spawnp(&pid, argv[2], NULL, NULL, argv + 2, environ);
  if (error) {
    fprintf(stderr, "timed: %s: %s\n", argv[2], strerror(error));
    return 1;
  }
  int status = 0;
  struct rusage usage;
  while (wait4(pid, &status, 0, &usage) < 0) {
    if (errno != EINTR) return 1;
  }
  const long long wall = now_ns() - start;
  fprintf(report, "%lld %lld %lld %ld %d\n", wall, microseconds(usage.ru_utime), microseconds(usage.ru_stime),
          usage.ru_maxrss, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  return fclose(report) == 0 ? 0 : 1;
}
