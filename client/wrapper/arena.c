// SPDX-License-Identifier: Apache-2.0
#include "wrapper/arena.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct tmpdump_arena_block {
  struct tmpdump_arena_block* next;
};

void* tmpdump_arena_array(struct tmpdump_arena* arena, size_t count, size_t each) {
  size_t size = 0;
  struct tmpdump_arena_block* block = NULL;
  if (!__builtin_mul_overflow(count, each, &size) && !__builtin_add_overflow(size, sizeof *block, &size)) {
    block = calloc(1, size);
  }
  if (block == NULL) {
    arena->exhausted = true;
    return NULL;
  }
  block->next = arena->blocks;
  arena->blocks = block;
  return block + 1;
}

void tmpdump_arena_release(struct tmpdump_arena* arena) {
  while (arena->blocks != NULL) {
    struct tmpdump_arena_block* next = arena->blocks->next;
    free(arena->blocks);
    arena->blocks = next;
  }
}

void tmpdump_append(struct tmpdump_text* text, const char* bytes, size_t size) {
  if (text->arena->exhausted) return;
  if (text->capacity - text->size <= size) { // room for the NUL too
    const size_t capacity = 2 * (text->size + size) + 64;
    char* larger = tmpdump_arena_array(text->arena, capacity, 1);
    if (larger == NULL) return;
    if (text->size > 0) memcpy(larger, text->bytes, text->size);
    text->bytes = larger;
    text->capacity = capacity;
  }
  memcpy(text->bytes + text->size, bytes, size);
  text->size += size;
  text->bytes[text->size] = '\0';
}

void tmpdump_append_string(struct tmpdump_text* text, const char* string) {
  tmpdump_append(text, string, strlen(string));
}

char* tmpdump_concat(struct tmpdump_arena* arena, const char* first, ...) {
  struct tmpdump_text text = {.arena = arena};
  va_list rest;
  va_start(rest, first);
  for (const char* part = first; part != NULL; part = va_arg(rest, const char*))
    tmpdump_append_string(&text, part);
  va_end(rest);
  return arena->exhausted ? NULL : text.bytes;
}
