// SPDX-License-Identifier: Apache-2.0
// Memory that is given back all at once, and texts that grow in it. Running out is remembered, so that it is
// checked once, at the end.
#ifndef TMPDUMP_WRAPPER_ARENA_H
#define TMPDUMP_WRAPPER_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct tmpdump_arena {
  struct tmpdump_arena_block* blocks;
  bool exhausted;
};

// Zeroed; NULL when there is no more.
void* tmpdump_arena_array(struct tmpdump_arena* arena, size_t count, size_t each);
void tmpdump_arena_release(struct tmpdump_arena* arena);

struct tmpdump_text {
  struct tmpdump_arena* arena;
  char* bytes; // NUL-ended; NULL before the first append
  size_t size; // without the NUL
  size_t capacity;
};
void tmpdump_append(struct tmpdump_text* text, const char* bytes, size_t size);
void tmpdump_append_string(struct tmpdump_text* text, const char* string);
// All strings up to the first NULL, joined; NULL when memory ran out.
char* tmpdump_concat(struct tmpdump_arena* arena, const char* first, ...) __attribute__((sentinel));

#ifdef __cplusplus
}
#endif

#endif
