// SPDX-License-Identifier: Apache-2.0
// What the exec wrapper makes of a command: pure functions from arguments, environment and what lies in a few
// folders to new arguments and a new environment. What they do not understand they leave as it is.
#ifndef TMPDUMP_WRAPPER_REWRITE_H
#define TMPDUMP_WRAPPER_REWRITE_H

#include "wrapper/arena.h"

#ifdef __cplusplus
extern "C" {
#endif

// A folder and the names in it, in any order. Those that do not end in ".jar" are passed over.
struct tmpdump_folder {
  const char* path; // without a slash at its end
  const char* const* names;
  size_t count;
};

struct tmpdump_command {
  const char* const* arguments; // NULL-ended; [0] is the program
  const char* const* environment;
};

struct tmpdump_surroundings {
  const char* task_root;          // "/var/task"
  struct tmpdump_folder task_lib; // "/var/task/lib"
  struct tmpdump_folder java_lib; // "/opt/java/lib"
  const char* preload;            // the shim's path; NULL: it is not installed
};

enum tmpdump_wait_mode {
  TMPDUMP_WAIT_LAZY,  // each load waits for its own file
  TMPDUMP_WAIT_EAGER, // the program starts when everything is there
  TMPDUMP_WAIT_NONE,
};

struct tmpdump_rewritten {
  struct tmpdump_command command;
  enum tmpdump_wait_mode mode;
  int timeout_ms;
  const char* library_folder;  // DEST/lib
  const char* manifest_folder; // DEST/.tmpdump
};

// Everything in *out lives in `arena` or in what was given. Returns NULL, or the error: one line, in `arena`.
const char* tmpdump_rewrite(const struct tmpdump_command* command,
                            const struct tmpdump_surroundings* surroundings, struct tmpdump_arena* arena,
                            struct tmpdump_rewritten* out);

// java.c: the arguments of a `java` launcher with the application on the class path and `library_folder` in
// front of java.library.path. Returns `command`'s own where there is nothing to do; NULL: no memory.
const char* const* tmpdump_rewrite_java(const struct tmpdump_command* command,
                                        const struct tmpdump_surroundings* surroundings,
                                        const char* library_folder, struct tmpdump_arena* arena);
// The value of JAVA_TOOL_OPTIONS and its like with the folder in front of every java.library.path in it.
const char* tmpdump_rewrite_java_options(const char* value, const char* library_folder,
                                         struct tmpdump_arena* arena);

// Shared by both: the variable's value, NULL when it is not set.
const char* tmpdump_variable(const char* const* environment, const char* name);
// `list` is colon-separated: does it begin with `element`, does it have it?
bool tmpdump_list_begins_with(const char* list, const char* element);
bool tmpdump_list_has(const char* list, const char* separators, const char* element);

#ifdef __cplusplus
}
#endif

#endif
