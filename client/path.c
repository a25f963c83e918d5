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

static bool is_top(const char* top, size_t top_size, const char* path, size_t size) {
  while (size > 1 && path[size - 1] == '/')
    --size;
  return top_size > 0 && size == top_size && memcmp(path, top, size) == 0;
}

uint32_t tmpdump_find_path(const struct tmpdump_attachment* attachment, const char* path, size_t size,
                           char* clean, size_t* clean_size) {
  const struct tmpdump_view* view = &attachment->view;
  const char* relative = path;
  size_t relative_size = size;
  *clean_size = SIZE_MAX;
  if (!tmpdump_is_below(attachment->destination, attachment->destination_size, &relative, &relative_size) &&
      !tmpdump_is_below(attachment->real, attachment->real_size, &relative, &relative_size)) {
    if (is_top(attachment->destination, attachment->destination_size, path, size) ||
        is_top(attachment->real, attachment->real_size, path, size)) {
      *clean_size = 0;
    }
    return UINT32_MAX;
  }
  // Nearly all callers pass a path that is an entry's as it stands.
  const uint32_t entry = tmpdump_view_find(view, relative, relative_size);
  if (entry != UINT32_MAX || relative_size >= PATH_MAX) return entry;
  size_t length = 0;
  if (!normalize(relative, relative_size, clean, &length)) return UINT32_MAX;
  *clean_size = length;
  return length == relative_size ? UINT32_MAX : tmpdump_view_find(view, clean, length);
}
