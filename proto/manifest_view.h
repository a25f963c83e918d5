// SPDX-License-Identifier: Apache-2.0
// Reading a mapped manifest that anybody may have written. A view is made once per mapping: it copies the
// listing's bounds out of the header after checking them against the mapping's size; from then on every index
// that comes out of the mapping is loaded once and checked before it is used, because the writer of a hostile
// file can change it between a check and a second load. Header-only so that the C client and the C++ side run
// the same checks.
#ifndef TMPDUMP_PROTO_MANIFEST_VIEW_H
#define TMPDUMP_PROTO_MANIFEST_VIEW_H

#include "manifest.h"

#include <stdbool.h>

// Words that another process may change at any time are only touched through these.
static inline uint32_t tmpdump_load32(const uint32_t* word) {
  return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}
static inline uint32_t tmpdump_peek32(const uint32_t* word) {
  return __atomic_load_n(word, __ATOMIC_RELAXED);
}
static inline uint64_t tmpdump_peek64(const uint64_t* word) {
  return __atomic_load_n(word, __ATOMIC_RELAXED);
}

// Of a path, or of any bytes: 8 at a time, the last ones padded with zeros. Not for secrets, not against
// collisions by intent: who writes the archive owns the function anyway, and probing is bounded.
static inline uint64_t tmpdump_manifest_hash(uint64_t seed, const void* bytes, size_t size) {
  const unsigned char* at = (const unsigned char*)bytes;
  uint64_t hash = seed ^ ((uint64_t)size * UINT64_C(0x9e3779b97f4a7c15));
  for (;;) {
    uint64_t word = 0;
    if (size >= 8) {
      memcpy(&word, at, 8);
    } else {
      for (size_t i = 0; i < size; ++i)
        word |= (uint64_t)at[i] << (8U * i);
    }
    hash = (hash ^ word) * UINT64_C(0x9fb21c651e98df25);
    hash ^= hash >> 32U;
    if (size <= 8) return hash;
    at += 8;
    size -= 8;
  }
}

static inline uint32_t tmpdump_manifest_needed_check(uint32_t first, uint32_t count, const uint32_t* list) {
  const size_t size = count == TMPDUMP_NEEDS_EVERYTHING ? 0 : (size_t)count * sizeof(uint32_t);
  return (uint32_t)tmpdump_manifest_hash(((uint64_t)first << 32U) | count, list, size);
}

struct tmpdump_view {
  struct tmpdump_manifest_header* header; // the start of the mapping; read-only when the mapping is
  uint64_t size;                          // of the mapping
  // Zero and null until listed.
  uint32_t entry_count;
  uint32_t slot_count;
  uint32_t needed_capacity;
  uint64_t strings_size;
  const struct tmpdump_manifest_entry* entries;
  struct tmpdump_manifest_progress* progress;
  const struct tmpdump_manifest_slot* slots;
  const uint32_t* needed;
  const char* strings;
};

enum tmpdump_view_result {
  TMPDUMP_VIEW_OK,
  TMPDUMP_VIEW_SHORT,   // the file says that it is longer than the mapping
  TMPDUMP_VIEW_VERSION, // another major version
  TMPDUMP_VIEW_BAD,     // not a manifest, or damaged
};

// Over the immutable regions and the fields that locate them.
static inline uint64_t tmpdump_manifest_listing_hash(const struct tmpdump_view* view,
                                                     const struct tmpdump_manifest_header* bounds) {
  uint64_t hash = tmpdump_manifest_hash(bounds->generation, &bounds->file_size,
                                        offsetof(struct tmpdump_manifest_header, listing_hash) -
                                            offsetof(struct tmpdump_manifest_header, file_size));
  hash = tmpdump_manifest_hash(hash, view->entries, view->entry_count * sizeof *view->entries);
  hash = tmpdump_manifest_hash(hash, view->slots, view->slot_count * sizeof *view->slots);
  return tmpdump_manifest_hash(hash, view->strings, view->strings_size);
}

// [offset, offset + count * each) lies in the listing, aligned.
static inline bool tmpdump_view_region(const struct tmpdump_view* view, uint64_t offset, uint64_t count,
                                       uint64_t each, uint64_t alignment) {
  uint64_t bytes = 0;
  return offset >= TMPDUMP_MANIFEST_HEADER_SIZE && offset % alignment == 0 &&
         !__builtin_mul_overflow(count, each, &bytes) && offset <= view->size && bytes <= view->size - offset;
}

// Fills `view` from a mapping of `size` bytes at `base` (page-aligned). A file without a listing gives a view
// with no entries.
static inline enum tmpdump_view_result tmpdump_view_open(struct tmpdump_view* view, void* base,
                                                         uint64_t size) {
  memset(view, 0, sizeof *view);
  if (size < TMPDUMP_MANIFEST_HEADER_SIZE || size > TMPDUMP_MANIFEST_MAX_SIZE) return TMPDUMP_VIEW_BAD;
  view->header = (struct tmpdump_manifest_header*)base;
  view->size = size;
  const uint32_t state = tmpdump_load32(&view->header->state); // acquires the listing's fields
  // One copy of the fields that are checked, and only the copy is used.
  struct tmpdump_manifest_header bounds;
  const size_t listing = offsetof(struct tmpdump_manifest_header, file_size);
  memcpy(&bounds, base, offsetof(struct tmpdump_manifest_header, state));
  memcpy((char*)&bounds + listing, (const char*)base + listing,
         offsetof(struct tmpdump_manifest_header, reserved2) - listing);
  if (memcmp(bounds.magic, TMPDUMP_MANIFEST_MAGIC, sizeof bounds.magic) != 0) return TMPDUMP_VIEW_BAD;
  if (bounds.major != TMPDUMP_MANIFEST_MAJOR) return TMPDUMP_VIEW_VERSION;
  if (bounds.header_size != TMPDUMP_MANIFEST_HEADER_SIZE) return TMPDUMP_VIEW_BAD;
  if (state < TMPDUMP_STATE_STARTING || state > TMPDUMP_STATE_SUPERSEDED) return TMPDUMP_VIEW_BAD;
  if (state == TMPDUMP_STATE_STARTING) return TMPDUMP_VIEW_OK;
  if (bounds.entries_offset == 0) { // failed or superseded before it was listed
    return state == TMPDUMP_STATE_FAILED || state == TMPDUMP_STATE_SUPERSEDED ? TMPDUMP_VIEW_OK
                                                                              : TMPDUMP_VIEW_BAD;
  }
  if (bounds.file_size > size) return TMPDUMP_VIEW_SHORT;
  if (bounds.slot_count <= bounds.entry_count || (bounds.slot_count & (bounds.slot_count - 1)) != 0 ||
      !tmpdump_view_region(view, bounds.entries_offset, bounds.entry_count,
                           sizeof(struct tmpdump_manifest_entry), 8) ||
      !tmpdump_view_region(view, bounds.progress_offset, bounds.entry_count,
                           sizeof(struct tmpdump_manifest_progress), 64) ||
      !tmpdump_view_region(view, bounds.slots_offset, bounds.slot_count, sizeof(struct tmpdump_manifest_slot),
                           8) ||
      !tmpdump_view_region(view, bounds.needed_offset, bounds.needed_capacity, sizeof(uint32_t), 8) ||
      !tmpdump_view_region(view, bounds.strings_offset, bounds.strings_size, 1, 1)) {
    return TMPDUMP_VIEW_BAD;
  }
  unsigned char* bytes = (unsigned char*)base;
  view->entry_count = bounds.entry_count;
  view->slot_count = bounds.slot_count;
  view->needed_capacity = bounds.needed_capacity;
  view->strings_size = bounds.strings_size;
  view->entries = (const struct tmpdump_manifest_entry*)(bytes + bounds.entries_offset);
  view->progress = (struct tmpdump_manifest_progress*)(bytes + bounds.progress_offset);
  view->slots = (const struct tmpdump_manifest_slot*)(bytes + bounds.slots_offset);
  view->needed = (const uint32_t*)(bytes + bounds.needed_offset);
  view->strings = (const char*)bytes + bounds.strings_offset;
  return tmpdump_manifest_listing_hash(view, &bounds) == bounds.listing_hash ? TMPDUMP_VIEW_OK
                                                                             : TMPDUMP_VIEW_BAD;
}

// The path of entry `index` (smaller than entry_count), not NUL-terminated; NULL when the entry points
// outside.
static inline const char* tmpdump_view_path(const struct tmpdump_view* view, uint32_t index, uint32_t* size) {
  const uint32_t offset = tmpdump_peek32(&view->entries[index].path_offset);
  *size = tmpdump_peek32(&view->entries[index].path_size);
  // NOLINTNEXTLINE(modernize-use-nullptr): C
  if (offset > view->strings_size || *size > view->strings_size - offset) return NULL;
  return view->strings + offset;
}

// Index of the entry with exactly this path, else UINT32_MAX.
static inline uint32_t tmpdump_view_find(const struct tmpdump_view* view, const char* path, size_t size) {
  const uint64_t hash = tmpdump_manifest_hash(0, path, size);
  const uint32_t tag = (uint32_t)(hash >> 32U);
  const uint32_t mask = view->slot_count - 1;
  for (uint32_t probe = 0; probe < view->slot_count; ++probe) {
    const struct tmpdump_manifest_slot* slot = &view->slots[((uint32_t)hash + probe) & mask];
    const uint32_t entry = tmpdump_peek32(&slot->entry);
    if (entry == 0) break;
    if (tmpdump_peek32(&slot->tag) != tag || entry > view->entry_count) continue;
    uint32_t found_size = 0;
    const char* found = tmpdump_view_path(view, entry - 1, &found_size);
    // NOLINTNEXTLINE(modernize-use-nullptr): C
    if (found != NULL && found_size == size && memcmp(found, path, size) == 0) return entry - 1;
  }
  return UINT32_MAX;
}

// The entries that a published entry needs: *list of *count indices, each still to be checked against
// entry_count; *count may be TMPDUMP_NEEDS_EVERYTHING. False when the list is damaged.
static inline bool tmpdump_view_needed(const struct tmpdump_view* view, uint32_t index, const uint32_t** list,
                                       uint32_t* count) {
  const struct tmpdump_manifest_progress* progress = &view->progress[index];
  const uint32_t first = tmpdump_peek32(&progress->needed_first);
  *count = tmpdump_peek32(&progress->needed_count);
  *list = view->needed;
  if (*count != TMPDUMP_NEEDS_EVERYTHING) {
    if (first > view->needed_capacity || *count > view->needed_capacity - first) return false;
    *list = view->needed + first;
  }
  return tmpdump_manifest_needed_check(first, *count, *list) == tmpdump_peek32(&progress->needed_check);
}

#endif
