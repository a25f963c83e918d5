// SPDX-License-Identifier: Apache-2.0
// The command line of a Java launcher. Its rules: java(1), and the launcher's own ParseArguments.
#include "wrapper/rewrite.h"

#include <stdlib.h>
#include <string.h>

// Linux's MAX_ARG_STRLEN: no word, no variable may be longer, its NUL included.
enum { longest_word = 131072 };

static const char library_property[] = "-Djava.library.path=";

static bool begins_with(const char* text, const char* beginning) {
  return strncmp(text, beginning, strlen(beginning)) == 0;
}

static bool is_one_of(const char* word, const char* const* words) {
  for (; *words != NULL; ++words) {
    if (strcmp(word, *words) == 0) return true;
  }
  return false;
}

static bool takes_class_path(const char* word) {
  return is_one_of(word, (const char* const[]){"-cp", "-classpath", "--class-path", NULL});
}

// Options whose value may be the next word.
static bool takes_value(const char* word) {
  return is_one_of(word,
                   (const char* const[]){"--module-path", "-p", "--upgrade-module-path", "--add-modules",
                                         "--limit-modules", "--add-exports", "--add-opens", "--add-reads",
                                         "--patch-module", "--enable-native-access", "--describe-module",
                                         "-d", "--source", NULL});
}

// Behind "--class-path=" or "-Djava.class.path=", else NULL.
static const char* glued_class_path(const char* word) {
  static const char* const beginnings[] = {"--class-path=", "-Djava.class.path="};
  for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; ++i) {
    if (begins_with(word, beginnings[i])) return word + strlen(beginnings[i]);
  }
  return NULL;
}

struct launch {
  size_t count;           // of all words
  size_t class_path_word; // the last one that sets it, since that one counts; 0: none does
  const char* class_path; // its value, inside of that word
  size_t end;             // the first word that is not the launcher's
  bool starts_class;      // by its name, which is found on the class path
  bool understood;
};

static struct launch read_launch(const char* const* words) {
  struct launch launch = {.understood = true};
  bool jar = false;
  bool files = true;
  while (words[launch.count] != NULL)
    ++launch.count;
  size_t at = 1;
  for (; at < launch.count && (words[at][0] == '-' || (files && words[at][0] == '@')); ++at) {
    const char* word = words[at];
    if (word[0] == '@') { // a file of more arguments: it may hold the class path, the main class, anything
      launch.understood = false;
      return launch;
    }
    const char* glued = glued_class_path(word);
    if (glued != NULL) {
      launch.class_path_word = at;
      launch.class_path = glued;
    } else if (takes_class_path(word)) {
      if (++at == launch.count) break;
      launch.class_path_word = at;
      launch.class_path = words[at];
    } else if (strcmp(word, "-jar") == 0) {
      jar = true;
    } else if (strcmp(word, "-m") == 0 || strcmp(word, "--module") == 0 || begins_with(word, "--module=")) {
      launch.end = at;
      return launch; // its module path names what it starts
    } else if (strcmp(word, "--disable-@files") == 0) {
      files = false;
    } else if (takes_value(word)) {
      ++at;
    }
  }
  launch.end = at < launch.count ? at : launch.count;
  launch.starts_class = at < launch.count && !jar;
  return launch;
}

static int by_name(const void* left, const void* right) {
  return strcmp(*(const char* const*)left, *(const char* const*)right);
}

static void append_element(struct tmpdump_text* path, const char* before, const char* folder,
                           const char* name) {
  char* element = tmpdump_concat(path->arena, folder, "/", name, NULL);
  if (element == NULL || strchr(element, ':') != NULL || tmpdump_list_has(before, ":", element)) return;
  tmpdump_append(path, ":", 1);
  tmpdump_append_string(path, element);
}

static void append_jars(struct tmpdump_text* path, const char* before, const struct tmpdump_folder* folder) {
  const char** names = tmpdump_arena_array(path->arena, folder->count, sizeof *names);
  if (names == NULL) return;
  size_t count = 0;
  for (size_t i = 0; i < folder->count; ++i) {
    const size_t size = strlen(folder->names[i]);
    if (size >= 4 && strcmp(folder->names[i] + size - 4, ".jar") == 0) names[count++] = folder->names[i];
  }
  qsort(names, count, sizeof *names, by_name);
  for (size_t i = 0; i < count; ++i)
    append_element(path, before, folder->path, names[i]);
}

// `before` and behind it what AWS's CustomerClassLoader would look through, in its order and spelled out
// (the launcher expands a `*` unsorted). At the end, because an archive of shared classes (CDS) stays valid
// for a class path that got longer there, and only there.
static const char* extended(const char* before, const struct tmpdump_surroundings* surroundings,
                            struct tmpdump_arena* arena) {
  struct tmpdump_text path = {.arena = arena};
  tmpdump_append_string(&path, before);
  append_element(&path, before, surroundings->task_root, "");
  append_jars(&path, before, &surroundings->task_lib);
  append_jars(&path, before, &surroundings->java_lib);
  return path.bytes;
}

// The class path of a launcher whose own arguments set none. NULL: it cannot be told.
static const char* inherited_class_path(const char* const* environment, struct tmpdump_arena* arena) {
  const char* options = tmpdump_variable(environment, "JDK_JAVA_OPTIONS");
  const char* found = NULL;
  if (options != NULL) {
    if (strpbrk(options, "\"'\\@") != NULL) return NULL;
    static const char blank[] = " \t\n\v\f\r";
    bool next = false;
    for (const char* at = options + strspn(options, blank); *at != '\0'; at += strspn(at, blank)) {
      struct tmpdump_text word = {.arena = arena};
      const size_t size = strcspn(at, blank);
      tmpdump_append(&word, at, size);
      at += size;
      if (arena->exhausted) return NULL;
      const char* glued = glued_class_path(word.bytes);
      if (next || glued != NULL) found = next ? word.bytes : glued;
      next = !next && takes_class_path(word.bytes);
    }
  }
  if (found != NULL) return found;
  found = tmpdump_variable(environment, "CLASSPATH");
  if (found != NULL) return found;
  static const char* const virtual_machine[] = {"JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS"};
  for (size_t i = 0; i < sizeof virtual_machine / sizeof *virtual_machine; ++i) {
    const char* value = tmpdump_variable(environment, virtual_machine[i]);
    if (value != NULL && strstr(value, "java.class.path") != NULL) return NULL;
  }
  return ".";
}

static const char* with_folder_in_front(const char* word, const char* folder, struct tmpdump_arena* arena) {
  const char* value = word + sizeof library_property - 1;
  if (tmpdump_list_begins_with(value, folder)) return word;
  return tmpdump_concat(arena, library_property, folder, value[0] == '\0' ? "" : ":", value, NULL);
}

// `beginning`, of which `size` bytes count, and behind it the value; the word as it was if that is too long.
static const char* short_enough(const char* word, const char* changed) {
  return changed != NULL && strlen(changed) < longest_word ? changed : word;
}

static bool is_blank_or_end(char byte) {
  return strchr(" \t\n\v\f\r", byte) != NULL; // strchr finds the NUL too
}

// Goes over `*at`, a quotation mark, if it opens or closes a quotation there.
static bool pass_quote(const char** at, char* quote) {
  const char byte = **at;
  if ((byte != '"' && byte != '\'') || (*quote != '\0' && byte != *quote)) return false;
  *quote = *quote == '\0' ? byte : '\0';
  ++*at;
  return true;
}

const char* const* tmpdump_rewrite_java(const struct tmpdump_command* command,
                                        const struct tmpdump_surroundings* surroundings,
                                        const char* library_folder, struct tmpdump_arena* arena) {
  const char* const* given = command->arguments;
  const struct launch launch = read_launch(given);
  if (!launch.understood) return given;
  const char** words = tmpdump_arena_array(arena, launch.count + 3, sizeof *words);
  if (words == NULL) return NULL;
  size_t ahead = 0;
  words[0] = given[0];
  if (launch.starts_class && launch.class_path_word == 0) {
    const char* inherited = inherited_class_path(command->environment, arena);
    const char* path = inherited == NULL ? NULL : extended(inherited, surroundings, arena);
    if (path != NULL && short_enough(inherited, path) == path) {
      words[1] = "-cp"; // the launcher's arguments come behind JDK_JAVA_OPTIONS and overrule CLASSPATH
      words[2] = path;
      ahead = 2;
    }
  }
  for (size_t i = 1; i < launch.count; ++i) {
    const char* word = given[i];
    // A class path may look like a property; it is none.
    if (i < launch.end && i != launch.class_path_word && begins_with(word, library_property)) {
      word = short_enough(word, with_folder_in_front(word, library_folder, arena));
    } else if (launch.starts_class && i == launch.class_path_word) {
      struct tmpdump_text text = {.arena = arena};
      const char* path = extended(launch.class_path, surroundings, arena);
      tmpdump_append(&text, word, (size_t)(launch.class_path - word));
      if (path != NULL) tmpdump_append_string(&text, path);
      word = short_enough(word, text.bytes);
    }
    words[i + ahead] = word;
  }
  return words;
}

const char* tmpdump_rewrite_java_options(const char* value, const char* library_folder,
                                         struct tmpdump_arena* arena) {
  if (strpbrk(library_folder, " \t\n\v\f\r\"'\\") != NULL) return value; // would be another word there
  struct tmpdump_text text = {.arena = arena};
  const size_t folder_size = strlen(library_folder);
  const char* rest = value;
  const char* seen = value;
  char quote = '\0'; // open at `seen`
  for (const char* at = value; (at = strstr(at, library_property)) != NULL;) {
    while (seen < at) {
      if (!pass_quote(&seen, &quote)) ++seen;
    }
    const char* word = quote != '\0' && at[-1] == quote ? at - 1 : at;
    const bool begins_word = word == value || (is_blank_or_end(word[-1]) && (quote == '\0' || word < at));
    at += sizeof library_property - 1;
    // The virtual machine drops quotation marks wherever they stand in a word.
    const char* first = at;
    char quote_of_first = quote;
    while (pass_quote(&first, &quote_of_first)) {
    }
    const bool empty = *first == '\0' || (quote_of_first == '\0' && is_blank_or_end(*first));
    const bool there = strncmp(first, library_folder, folder_size) == 0 &&
                       (strchr(":\"'", first[folder_size]) != NULL ||
                        (quote_of_first == '\0' && is_blank_or_end(first[folder_size])));
    if (!begins_word || there) continue;
    tmpdump_append(&text, rest, (size_t)(at - rest));
    tmpdump_append_string(&text, library_folder);
    if (!empty) tmpdump_append(&text, ":", 1);
    rest = at;
  }
  if (rest == value) return value;
  tmpdump_append_string(&text, rest);
  return text.bytes;
}
