// SPDX-License-Identifier: Apache-2.0
// The program `exec-wrapper`: AWS_LAMBDA_EXEC_WRAPPER=/opt/tmpdump/exec-wrapper. Becomes the program that its
// arguments name, with what rewrite.h does to them.
#include "printable.h"
#include "tmpdump.h"
#include "wrapper/rewrite.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PRELOAD "lib/libtmpdump-preload.so"

enum { FAILED = 1, USAGE = 2, NOT_FOUND = 3, DENIED = 5 }; // as all of tmpdump's programs

static const char help[] =
    "usage: exec-wrapper PROGRAM [ARGUMENT...]\n"
    "Becomes PROGRAM, so that it finds and awaits the files that tmpdump brings, unchanged. In Lambda:\n"
    "AWS_LAMBDA_EXEC_WRAPPER=/opt/tmpdump/exec-wrapper. Java gets the application on its class path.\n\n"
    "  TMPDUMP_WAIT              lazy: each library that is loaded waits for itself and what it needs;\n"
    "                            eager: PROGRAM starts when everything is there; none [lazy]\n"
    "  TMPDUMP_WAIT_TIMEOUT      seconds that one wait may take [60]\n"
    "  TMPDUMP_PRELOAD_CHILDREN  under lazy: 1 the programs that PROGRAM starts wait too, 0 they do not [1]\n"
    "  TMPDUMP_DEST              where tmpdump unpacks [/tmp]\n";

// Controls and format characters as \xNN: what a variable or a manifest holds must not forge lines or move a
// cursor.
static size_t append_printable(char* line, size_t length, size_t room, const char* text) {
  static const char digits[] = "0123456789abcdef";
  for (size_t left = strlen(text); left > 0;) {
    const size_t shown = tmpdump_printable_length(text, left);
    if (length + (shown == 0 ? 4 : shown) > room) break;
    if (shown == 0) {
      const unsigned char byte = (unsigned char)*text;
      line[length++] = '\\';
      line[length++] = 'x';
      line[length++] = digits[byte >> 4U];
      line[length++] = digits[byte & 15U];
    } else {
      memcpy(line + length, text, shown);
      length += shown;
    }
    text += shown == 0 ? 1 : shown;
    left -= shown == 0 ? 1 : shown;
  }
  return length;
}

static int fail(int status, const char* format, const char* first, const char* second) {
  // One write: the extension and the runtime write to the same log.
  char text[2048];
  char line[2048];
  if (snprintf(text, sizeof text, format, first, second) < 0) text[0] = '\0';
  size_t end = append_printable(line, 0, sizeof line - 1, "exec-wrapper: error: ");
  end = append_printable(line, end, sizeof line - 1, text);
  line[end] = '\n';
  const ssize_t ignored = write(STDERR_FILENO, line, end + 1);
  (void)ignored;
  return status;
}

// An absent folder is an empty one.
static void list_folder(const char* path, struct tmpdump_arena* arena, struct tmpdump_folder* folder) {
  *folder = (struct tmpdump_folder){.path = path};
  DIR* stream = opendir(path);
  if (stream == NULL) return;
  const char** names = NULL;
  size_t capacity = 0;
  for (const struct dirent* entry = NULL; (entry = readdir(stream)) != NULL;) {
    if (folder->count == capacity) {
      const size_t larger = 2 * capacity + 32;
      const char** grown = tmpdump_arena_array(arena, larger, sizeof *grown);
      if (grown == NULL) break;
      if (capacity > 0) memcpy(grown, names, capacity * sizeof *grown);
      names = grown;
      capacity = larger;
    }
    names[folder->count++] = tmpdump_concat(arena, entry->d_name, NULL);
  }
  (void)closedir(stream);
  folder->names = names;
}

// PREFIX/lib beside the PREFIX/tmpdump (or PREFIX/bin) in which this program lies, whatever name it was
// called by; else where the layer has it.
static const char* find_preload(struct tmpdump_arena* arena) {
  char self[PATH_MAX];
  const ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);
  if (size > 0) {
    self[size] = '\0';
    for (int level = 0; level < 2; ++level) {
      char* slash = strrchr(self, '/');
      if (slash != NULL) *slash = '\0';
    }
    const char* beside = tmpdump_concat(arena, self, "/" PRELOAD, NULL);
    if (beside != NULL && access(beside, R_OK) == 0) return beside;
  }
  return access("/opt/" PRELOAD, R_OK) == 0 ? "/opt/" PRELOAD : NULL;
}

// The program starts in any case, and says itself what it misses; this says why.
static void wait_for_everything(int timeout_ms) {
  const int code = tmpdump_wait(timeout_ms);
  if (code == TMPDUMP_OK) return;
  char reason[1025];
  const bool has_reason = code == TMPDUMP_FAILED && tmpdump_reason(reason, sizeof reason) > 0;
  (void)fail(0, "%s%s", "the tmpdump is not complete: ", has_reason ? reason : tmpdump_strerror(code));
}

static int run(const struct tmpdump_command* command, struct tmpdump_arena* arena) {
  struct tmpdump_surroundings surroundings = {.preload = find_preload(arena)};
  const char* task_root = tmpdump_variable(command->environment, "LAMBDA_TASK_ROOT");
  surroundings.task_root = task_root != NULL && task_root[0] == '/' ? task_root : "/var/task";
  const char* task_lib = tmpdump_concat(arena, surroundings.task_root, "/lib", NULL);
  if (task_lib == NULL) return fail(FAILED, "%s%s", "out of memory", "");
  list_folder(task_lib, arena, &surroundings.task_lib);
  list_folder("/opt/java/lib", arena, &surroundings.java_lib);
  struct tmpdump_rewritten rewritten;
  const char* error = tmpdump_rewrite(command, &surroundings, arena, &rewritten);
  if (error != NULL) return fail(USAGE, "%s%s", error, "");
  // Before the loader of PROGRAM looks for its first library: a folder on LD_LIBRARY_PATH that is not there
  // then is never looked into again (glibc remembers it). Where no daemon began nothing will come.
  if (access(rewritten.manifest_folder, F_OK) == 0) (void)mkdir(rewritten.library_folder, 0755);
  if (rewritten.mode == TMPDUMP_WAIT_EAGER) wait_for_everything(rewritten.timeout_ms);
  const char* program = command->arguments[0];
  (void)execvpe(program, (char* const*)rewritten.command.arguments,
                (char* const*)rewritten.command.environment);
  return fail(errno == ENOENT   ? NOT_FOUND
              : errno == EACCES ? DENIED
                                : FAILED,
              "cannot start '%s': %s", program, strerror(errno));
}

int main(int argc, char** argv) {
  if (argc < 2) return fail(USAGE, "%s%s", "no program to start; see --help", "");
  if (strcmp(argv[1], "--help") == 0) return fputs(help, stdout) < 0 ? FAILED : 0;
  if (strcmp(argv[1], "--version") == 0) return puts("exec-wrapper " TMPDUMP_VERSION_TEXT) < 0 ? FAILED : 0;
  struct tmpdump_arena arena = {0};
  const struct tmpdump_command command = {(const char* const*)(argv + 1), (const char* const*)environ};
  const int status = run(&command, &arena);
  tmpdump_arena_release(&arena);
  return status;
}
