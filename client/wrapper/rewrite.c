// SPDX-License-Identifier: Apache-2.0
// The environment of any program; the arguments of a Java launcher are java.c's.
#include "wrapper/rewrite.h"

#include "manifest.h"
#include "settings.h"

#include <string.h>

const char* tmpdump_variable(const char* const* environment, const char* name) {
  const size_t size = strlen(name);
  for (; *environment != NULL; ++environment) {
    if (strncmp(*environment, name, size) == 0 && (*environment)[size] == '=') return *environment + size + 1;
  }
  return NULL;
}

bool tmpdump_list_begins_with(const char* list, const char* element) {
  const size_t size = strlen(element);
  return strncmp(list, element, size) == 0 && (list[size] == '\0' || list[size] == ':');
}

bool tmpdump_list_has(const char* list, const char* separators, const char* element) {
  const size_t size = strlen(element);
  for (const char* at = list;; ++at) {
    const size_t length = strcspn(at, separators);
    if (length == size && memcmp(at, element, size) == 0) return true;
    at += length;
    if (*at == '\0') return false;
  }
}

static bool is_java(const char* program) {
  const char* slash = strrchr(program, '/');
  return strcmp(slash == NULL ? program : slash + 1, "java") == 0;
}

// The new "NAME=value" of a variable that has one already, else of one that is empty.
typedef const char* change(const char* value, const char* with, struct tmpdump_arena* arena);

static const char* prepend_folder(const char* value, const char* folder, struct tmpdump_arena* arena) {
  if (tmpdump_list_begins_with(value, folder)) return value;
  return value[0] == '\0' ? folder : tmpdump_concat(arena, folder, ":", value, NULL);
}

static const char* prepend_preload(const char* value, const char* shim, struct tmpdump_arena* arena) {
  if (tmpdump_list_has(value, ": ", shim)) return value;
  return value[0] == '\0' ? shim : tmpdump_concat(arena, shim, ":", value, NULL);
}

// Every occurrence of the variable in `environment`, an array of our own, is changed: readers differ in which
// one of several they take. Returns false when there was none.
static bool change_variable(const char** environment, const char* name, change* make, const char* with,
                            struct tmpdump_arena* arena) {
  bool found = false;
  for (const char** at = environment; *at != NULL; ++at) {
    const char* value = tmpdump_variable((const char* const[]){*at, NULL}, name);
    if (value == NULL) continue;
    found = true;
    const char* changed = make(value, with, arena);
    if (changed == NULL || changed == value) continue;
    const char* whole = tmpdump_concat(arena, name, "=", changed, NULL);
    if (whole != NULL) *at = whole;
  }
  return found;
}

static const char* const* rewrite_environment(const struct tmpdump_command* command,
                                              const struct tmpdump_rewritten* settings, const char* preload,
                                              bool java, struct tmpdump_arena* arena) {
  size_t count = 0;
  while (command->environment[count] != NULL)
    ++count;
  const char** environment = tmpdump_arena_array(arena, count + 3, sizeof *environment);
  if (environment == NULL) return NULL;
  memcpy(environment, command->environment, count * sizeof *environment);
  const char* folder = settings->library_folder;
  if (!change_variable(environment, "LD_LIBRARY_PATH", prepend_folder, folder, arena)) {
    environment[count++] = tmpdump_concat(arena, "LD_LIBRARY_PATH=", folder, NULL);
  }
  if (settings->mode == TMPDUMP_WAIT_LAZY && preload != NULL &&
      !change_variable(environment, "LD_PRELOAD", prepend_preload, preload, arena)) {
    environment[count++] = tmpdump_concat(arena, "LD_PRELOAD=", preload, NULL);
  }
  if (java) {
    static const char* const options[] = {"JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS"};
    for (size_t i = 0; i < sizeof options / sizeof *options; ++i)
      (void)change_variable(environment, options[i], tmpdump_rewrite_java_options, folder, arena);
  }
  return environment;
}

static const char* read_settings(const struct tmpdump_command* command, struct tmpdump_arena* arena,
                                 struct tmpdump_rewritten* out) {
  const char* mode = tmpdump_variable(command->environment, "TMPDUMP_WAIT");
  if (mode == NULL || mode[0] == '\0' || strcmp(mode, "lazy") == 0) {
    out->mode = TMPDUMP_WAIT_LAZY;
  } else if (strcmp(mode, "eager") == 0) {
    out->mode = TMPDUMP_WAIT_EAGER;
  } else if (strcmp(mode, "none") == 0) {
    out->mode = TMPDUMP_WAIT_NONE;
  } else {
    return tmpdump_concat(arena, "TMPDUMP_WAIT='", mode, "': expected lazy, eager or none", NULL);
  }
  const char* timeout = tmpdump_variable(command->environment, "TMPDUMP_WAIT_TIMEOUT");
  out->timeout_ms = TMPDUMP_WAIT_TIMEOUT_DEFAULT_MS;
  if (timeout != NULL && timeout[0] != '\0' && !tmpdump_parse_timeout(timeout, &out->timeout_ms)) {
    return tmpdump_concat(arena, "TMPDUMP_WAIT_TIMEOUT='", timeout, "': expected whole seconds, 0 to 3600",
                          NULL);
  }
  const char* children = tmpdump_variable(command->environment, "TMPDUMP_PRELOAD_CHILDREN");
  if (children != NULL && children[0] != '\0' && strcmp(children, "0") != 0 && strcmp(children, "1") != 0) {
    return tmpdump_concat(arena, "TMPDUMP_PRELOAD_CHILDREN='", children, "': expected 1 or 0", NULL);
  }
  const char* destination = tmpdump_variable(command->environment, "TMPDUMP_DEST");
  if (destination == NULL || destination[0] == '\0') destination = "/tmp";
  if (destination[0] != '/' || strpbrk(destination, ":;$") != NULL) { // what LD_LIBRARY_PATH cannot spell
    return tmpdump_concat(arena, "TMPDUMP_DEST='", destination,
                          "': expected an absolute path without ':', ';' and '$'", NULL);
  }
  size_t size = strlen(destination);
  while (size > 0 && destination[size - 1] == '/')
    --size;
  struct tmpdump_text clean = {.arena = arena};
  tmpdump_append(&clean, destination, size);
  out->library_folder = tmpdump_concat(arena, clean.bytes, "/lib", NULL);
  out->manifest_folder = tmpdump_concat(arena, clean.bytes, "/" TMPDUMP_MANIFEST_DIRECTORY, NULL);
  return NULL;
}

const char* tmpdump_rewrite(const struct tmpdump_command* command,
                            const struct tmpdump_surroundings* surroundings, struct tmpdump_arena* arena,
                            struct tmpdump_rewritten* out) {
  static const char no_memory[] = "out of memory";
  *out = (struct tmpdump_rewritten){.command = *command};
  const char* error = read_settings(command, arena, out);
  if (error != NULL) return error;
  if (arena->exhausted) return no_memory;
  const bool java = is_java(command->arguments[0]);
  const char* preload = surroundings->preload;
  if (preload != NULL && strpbrk(preload, ": ") != NULL) {
    return tmpdump_concat(arena, "'", preload, "': LD_PRELOAD cannot hold a path with ':' or a space", NULL);
  }
  out->command.environment = rewrite_environment(command, out, preload, java, arena);
  if (java) {
    out->command.arguments = tmpdump_rewrite_java(command, surroundings, out->library_folder, arena);
  }
  return arena->exhausted ? no_memory : NULL;
}
