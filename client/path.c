// SPDX-License-Identifier: Apache-2.0
// From the path that a program uses to the entry of the archive.
#include "internal.h"

bool tmpdump_is_below(const char* destination, size_t destination_size, const char** path, size_t* size) {
  if ((*path)[0] == '/') {
    if (destination_size == 0) return false;
    if (destination_size == 1 && destination[0] == '/') destination_size = 0;
    if (*size <= destination_size || memcmp(*path, destination, destination_size) != 0 ||
        (*path)[destination_size] != '/') {
      return false;
    }
    *path += destination_size;
    *size -= destination_size;
  }
  while (*size > 0 && (*path)[0] == '/') {
    ++*path;
    --*size;
  }
  const size_t own = sizeof TMPDUMP_MANIFEST_DIRECTORY - 1;
  return *size < own || memcmp(*path, TMPDUMP_MANIFEST_DIRECTORY, own) != 0 ||
         (*size > own && (*path)[own] != '/');
}

// Without empty parts, "." and "..", resolved as text. `out` has room for `size` bytes. False: ".." leads
// out.
static bool normalize(const char* path, size_t size, char* out, size_t* out_size) {
  size_t length = 0;
  size_t at = 0;
  while (at < size) {
    size_t end = at;
    while (end < size && path[end] != '/')
      ++end;
    const size_t part = end - at;
    if (part == 2 && path[at] == '.' && path[at + 1] == '.') {
      if (length == 0) return false;
      while (length > 0 && out[length - 1] != '/')
        --length;
      if (length > 0) --length;
    } else if (part > 0 && !(part == 1 && path[at] == '.')) {
      if (length > 0) out[length++] = '/';
      memcpy(out + length, path + at, part);
      length += part;
    }
    at = end + 1;
  }
  *out_size = length;
  return true;
}

uint32_t tmpdump_find_path(const struct tmpdump_attachment* attachment, const char* path, size_t size,
                           bool* through_link) {
  const struct tmpdump_view* view = &attachment->view;
  *through_link = false;
  const char* relative = path;
  size_t relative_size = size;
  if (!tmpdump_is_below(attachment->destination, attachment->destination_size, &relative, &relative_size) &&
      !tmpdump_is_below(attachment->real, attachment->real_size, &relative, &relative_size)) {
    return UINT32_MAX;
  }
  // Nearly all callers pass a path that is an entry's as it stands.
  uint32_t entry = tmpdump_view_find(view, relative, relative_size);
  if (entry != UINT32_MAX || relative_size > PATH_MAX) return entry;
  char clean[PATH_MAX];
  size_t clean_size = 0;
  if (!normalize(relative, relative_size, clean, &clean_size)) return UINT32_MAX;
  if (clean_size != relative_size) {
    entry = tmpdump_view_find(view, clean, clean_size);
    if (entry != UINT32_MAX) return entry;
  }
  // A parent that is a symbolic link of the archive ("lib64/libx.so" where lib64 -> lib): the file may come
  // to be there, under another name in the listing.
  for (size_t i = 1; i < clean_size; ++i) {
    if (clean[i] != '/') continue;
    const uint32_t parent = tmpdump_view_find(view, clean, i);
    if (parent == UINT32_MAX || tmpdump_peek32(&view->entries[parent].kind) != TMPDUMP_KIND_SYMLINK) continue;
    *through_link = true;
    break;
  }
  return UINT32_MAX;
}
