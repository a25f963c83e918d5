// SPDX-License-Identifier: Apache-2.0
// From a path and what a program does with it to the entries that must be there first.
#include "internal.h"

// As Linux: more links in one path are a loop.
enum { most_links = 40 };

static uint32_t kind_of(const struct tmpdump_view* view, uint32_t entry) {
  return tmpdump_peek32(&view->entries[entry].kind);
}

// OK with *target where the published link leads to an entry; NOT_IN_ARCHIVE where it leads elsewhere. A
// target that the daemon could not tell, or that has no entry, is waited for with all the others.
static int read_link(const struct tmpdump_attachment* attachment, uint32_t link, uint32_t* target,
                     struct tmpdump_deadline* deadline) {
  const uint32_t* list = NULL;
  uint32_t count = 0;
  int code = tmpdump_needed(attachment, link, &list, &count);
  if (code == TMPDUMP_NO_DAEMON) count = TMPDUMP_NEEDS_EVERYTHING; // somebody removed what told it
  if (code != TMPDUMP_OK && code != TMPDUMP_NO_DAEMON) return code;
  if (count == TMPDUMP_NEEDS_EVERYTHING) {
    code = tmpdump_wait_ready(attachment, deadline);
    return code == TMPDUMP_OK ? TMPDUMP_NOT_IN_ARCHIVE : code;
  }
  if (count != 1) return TMPDUMP_NOT_IN_ARCHIVE;
  *target = tmpdump_peek32(list);
  return *target < attachment->view.entry_count ? TMPDUMP_OK : TMPDUMP_BAD_MANIFEST;
}

// *entry, and from link to link what it leads to, which *entry then is.
static int wait_target(const struct tmpdump_attachment* attachment, uint32_t* entry,
                       struct tmpdump_deadline* deadline) {
  for (int links = 0; links < most_links; ++links) {
    int code = tmpdump_wait_entry(attachment, *entry, true, deadline);
    if (code != TMPDUMP_OK || kind_of(&attachment->view, *entry) != TMPDUMP_KIND_SYMLINK) return code;
    code = read_link(attachment, *entry, entry, deadline);
    if (code != TMPDUMP_OK) return code == TMPDUMP_NOT_IN_ARCHIVE ? TMPDUMP_OK : code;
  }
  return TMPDUMP_OK; // the kernel will say ELOOP
}

// What of the entry's path lies below the directory `top`, "" being the destination; NULL: it does not.
static const char* below(const struct tmpdump_view* view, uint32_t entry, const char* top, size_t top_size,
                         size_t* size) {
  uint32_t path_size = 0;
  const char* path = tmpdump_view_path(view, entry, &path_size);
  if (path == NULL) return NULL;
  if (top_size > 0) {
    if (path_size <= top_size + 1 || path[top_size] != '/' || memcmp(path, top, top_size) != 0) return NULL;
    path += top_size + 1;
    path_size -= (uint32_t)top_size + 1;
  }
  *size = path_size;
  return path;
}

// Until each name that the archive puts into the directory is in it. Whoever lists a directory need not use
// all that is in it, so this notes no use.
static int wait_names(const struct tmpdump_attachment* attachment, const char* top, size_t top_size,
                      struct tmpdump_deadline* deadline) {
  const struct tmpdump_view* view = &attachment->view;
  const char* made = NULL; // the last directory that came into being with a file in it
  size_t made_size = 0;
  for (uint32_t entry = 0; entry < view->entry_count; ++entry) {
    size_t size = 0;
    const char* name = below(view, entry, top, top_size, &size);
    if (name == NULL) continue;
    const char* slash = memchr(name, '/', size);
    if (slash != NULL) {
      const size_t directory_size = (size_t)(slash - name);
      if (made != NULL && made_size == directory_size && memcmp(made, name, made_size) == 0) continue;
      // An entry of its own is waited for by itself.
      const size_t prefix = top_size > 0 ? top_size + 1 : 0;
      if (tmpdump_view_find(view, name - prefix, prefix + directory_size) != UINT32_MAX) continue;
      made = name;
      made_size = directory_size;
    }
    const int code = tmpdump_wait_entry(attachment, entry, false, deadline);
    if (code != TMPDUMP_OK) return code;
  }
  return TMPDUMP_OK;
}

// A directory that has no entry but files below it: it is there with any of them. Where there is none yet,
// the first one is waited for, which may be longer than it takes.
static int wait_implied(const struct tmpdump_attachment* attachment, const char* top, size_t top_size,
                        struct tmpdump_deadline* deadline) {
  const struct tmpdump_view* view = &attachment->view;
  uint32_t first = UINT32_MAX;
  for (uint32_t entry = 0; entry < view->entry_count; ++entry) {
    size_t size = 0;
    if (below(view, entry, top, top_size, &size) == NULL) continue;
    if (tmpdump_is_published(attachment, entry)) return TMPDUMP_OK;
    if (first == UINT32_MAX) first = entry;
  }
  return first == UINT32_MAX ? TMPDUMP_NOT_IN_ARCHIVE
                             : tmpdump_wait_entry(attachment, first, false, deadline);
}

// Looks for a parent of `clean` that is a symbolic link ("lib64/libx.so" where lib64 -> lib), waits for it
// and puts its target in its place. NOT_IN_ARCHIVE: there is none.
static int follow_parent(const struct tmpdump_attachment* attachment, char* clean, size_t* size,
                         struct tmpdump_deadline* deadline) {
  const struct tmpdump_view* view = &attachment->view;
  for (size_t i = 1; i < *size; ++i) {
    if (clean[i] != '/') continue;
    const uint32_t parent = tmpdump_view_find(view, clean, i);
    if (parent == UINT32_MAX || kind_of(view, parent) != TMPDUMP_KIND_SYMLINK) continue;
    int code = tmpdump_wait_entry(attachment, parent, true, deadline);
    if (code != TMPDUMP_OK) return code;
    uint32_t target = 0;
    code = read_link(attachment, parent, &target, deadline);
    if (code == TMPDUMP_NOT_IN_ARCHIVE) { // where it leads the listing cannot tell
      code = tmpdump_wait_ready(attachment, deadline);
      *size = 0;
      return code;
    }
    if (code != TMPDUMP_OK) return code;
    uint32_t target_size = 0;
    const char* target_path = tmpdump_view_path(view, target, &target_size);
    const size_t rest = *size - i;
    if (target_path == NULL || target_size > PATH_MAX - rest) return TMPDUMP_NOT_IN_ARCHIVE;
    memmove(clean + target_size, clean + i, rest);
    memcpy(clean, target_path, target_size);
    *size = target_size + rest;
    return TMPDUMP_OK;
  }
  return TMPDUMP_NOT_IN_ARCHIVE;
}

static int wait_found(const struct tmpdump_attachment* attachment, uint32_t entry, enum tmpdump_use use,
                      struct tmpdump_deadline* deadline) {
  if (use == TMPDUMP_USE_LOAD) return tmpdump_wait_closure(attachment, entry, deadline);
  if (use == TMPDUMP_USE_NAME) return tmpdump_wait_entry(attachment, entry, true, deadline);
  const int code = wait_target(attachment, &entry, deadline);
  if (code != TMPDUMP_OK || use != TMPDUMP_USE_LIST) return code;
  const struct tmpdump_view* view = &attachment->view;
  if (kind_of(view, entry) != TMPDUMP_KIND_DIRECTORY) return TMPDUMP_OK;
  uint32_t size = 0;
  const char* path = tmpdump_view_path(view, entry, &size);
  return path == NULL ? TMPDUMP_BAD_MANIFEST : wait_names(attachment, path, size, deadline);
}

int tmpdump_wait_use(const struct tmpdump_attachment* attachment, const char* path, size_t size,
                     enum tmpdump_use use, struct tmpdump_deadline* deadline) {
  char clean[PATH_MAX];
  size_t clean_size = 0;
  uint32_t entry = tmpdump_find_path(attachment, path, size, clean, &clean_size);
  if (entry != UINT32_MAX) return wait_found(attachment, entry, use, deadline);
  if (clean_size == SIZE_MAX) return TMPDUMP_NOT_IN_ARCHIVE;
  for (int links = 0; links < most_links && clean_size > 0; ++links) {
    const int code = follow_parent(attachment, clean, &clean_size, deadline);
    if (code == TMPDUMP_NOT_IN_ARCHIVE) break;
    if (code != TMPDUMP_OK || clean_size == 0) return code;
    entry = tmpdump_view_find(&attachment->view, clean, clean_size);
    if (entry != UINT32_MAX) return wait_found(attachment, entry, use, deadline);
  }
  // What is left is no entry. Once everything is there, nothing that a listing lacks can come any more.
  if (use == TMPDUMP_USE_LOAD || tmpdump_is_ready(attachment)) return TMPDUMP_NOT_IN_ARCHIVE;
  uint32_t state = 0;
  const int looked = tmpdump_look(attachment, &attachment->view.header->state, TMPDUMP_STATE_LISTED, &state);
  if (looked != TMPDUMP_OK) return looked;
  if (state == TMPDUMP_STATE_READY) return TMPDUMP_NOT_IN_ARCHIVE;
  if (clean_size > 0) {
    const int code = wait_implied(attachment, clean, clean_size, deadline);
    if (code != TMPDUMP_OK) return code;
  }
  return use == TMPDUMP_USE_LIST ? wait_names(attachment, clean, clean_size, deadline) : TMPDUMP_OK;
}
