// SPDX-License-Identifier: Apache-2.0
// The C API, from C, through the shared library: client_test MANIFEST_DAEMON
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <tmpdump.h>
#include <unistd.h>

#define CHECK(condition) check((condition) != 0, #condition, __LINE__)

static void check(int holds, const char* condition, int line) {
  if (holds) return;
  (void)fprintf(stderr, "client_test.c:%d: not so: %s\n", line, condition);
  exit(1);
}

static pid_t daemon_pid;
static FILE* orders;
static FILE* answers;

static void answered(void) {
  char line[16];
  CHECK(fgets(line, sizeof line, answers) != NULL && strcmp(line, "ok\n") == 0);
}

static void order(const char* line) {
  CHECK(fprintf(orders, "%s\n", line) > 0);
  CHECK(fflush(orders) == 0);
  answered();
}

static void start_daemon(const char* program, const char* destination) {
  int down[2];
  int up[2];
  CHECK(pipe(down) == 0 && pipe(up) == 0);
  daemon_pid = fork();
  CHECK(daemon_pid >= 0);
  if (daemon_pid == 0) {
    dup2(down[0], 0);
    dup2(up[1], 1);
    close(down[1]);
    close(up[0]);
    execl(program, program, destination, (char*)NULL);
    _exit(1);
  }
  close(down[0]);
  close(up[1]);
  orders = fdopen(down[1], "w");
  answers = fdopen(up[0], "r");
  CHECK(orders != NULL && answers != NULL);
  answered();
}

static void* wait_for_a(void* code) {
  *(int*)code = tmpdump_wait_file("lib/a.so", -1);
  return NULL;
}

int main(int argc, char** argv) {
  CHECK(argc == 2);
  char destination[] = "/tmp/tmpdump-c-XXXXXX";
  CHECK(mkdtemp(destination) != NULL);
  CHECK(setenv("TMPDUMP_DEST", destination, 1) == 0);

  CHECK(tmpdump_wait(-1) == TMPDUMP_NO_DAEMON);
  CHECK(tmpdump_wait_file(NULL, -1) == TMPDUMP_INVALID);
  struct tmpdump_report report = {.size = sizeof report};
  CHECK(tmpdump_status(&report) == TMPDUMP_NO_DAEMON);

  start_daemon(argv[1], destination);
  CHECK(tmpdump_wait_file("lib/a.so", 0) == TMPDUMP_TIMEOUT);
  order("list lib/a.so=b.so lib/b.so lib/c.so");
  CHECK(tmpdump_wait_file("lib/none.so", -1) == TMPDUMP_NOT_IN_ARCHIVE);
  CHECK(tmpdump_wait_file("/usr/lib/none.so", -1) == TMPDUMP_NOT_IN_ARCHIVE);

  pthread_t waiter;
  int code = -1;
  CHECK(pthread_create(&waiter, NULL, wait_for_a, &code) == 0);
  order("publish lib/a.so");
  CHECK(tmpdump_wait_file("lib/a.so", 1) == TMPDUMP_TIMEOUT);
  order("publish lib/b.so");
  CHECK(pthread_join(waiter, NULL) == 0 && code == TMPDUMP_OK);
  char path[64];
  CHECK(snprintf(path, sizeof path, "%s/lib/b.so", destination) > 0);
  CHECK(tmpdump_wait_file(path, 0) == TMPDUMP_OK);
  CHECK(access(path, R_OK) == 0);

  CHECK(tmpdump_status(&report) == TMPDUMP_OK);
  CHECK(report.state == TMPDUMP_IS_LISTED && report.daemon_alive == 1 && report.pid == (uint32_t)daemon_pid);
  CHECK(report.files_total == 3 && report.files_published == 2);

  order("fail the bucket is gone");
  CHECK(tmpdump_wait(-1) == TMPDUMP_FAILED);
  char reason[64];
  CHECK(tmpdump_reason(reason, sizeof reason) == strlen(reason));
  CHECK(strcmp(reason, "the bucket is gone") == 0);
  CHECK(strlen(tmpdump_strerror(TMPDUMP_FAILED)) > 0);
  CHECK(tmpdump_wait_file("lib/a.so", -1) == TMPDUMP_OK);

  CHECK(fclose(orders) == 0);
  int status = 0;
  CHECK(waitpid(daemon_pid, &status, 0) == daemon_pid && status == 0);
  char command[64];
  CHECK(snprintf(command, sizeof command, "rm -rf %s", destination) > 0);
  CHECK(system(command) == 0);
  puts("client_test: ok");
  return 0;
}
