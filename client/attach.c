// SPDX-License-Identifier: Apache-2.0
// Opening, checking and mapping the manifest.
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef F_OFD_GETLK
#define F_OFD_GETLK 36 // Linux 3.15; glibc names it since 2.20
#endif

// System calls without glibc's wrappers: its fstat and fstatat carry version 2.33, and whoever interposes
// open to wait for files (a preload shim) must not be called from inside the wait. On 64-bit targets the
// kernel's struct stat is glibc's.
static int open_at(int directory, const char* name, int flags) {
  return (int)syscall(SYS_openat, directory, name, flags | O_CLOEXEC, 0);
}
static int file_status(int fd, struct stat* status) {
  return (int)syscall(SYS_fstat, fd, status);
}
static int name_status(int directory, const char* name, struct stat* status) {
  return (int)syscall(SYS_newfstatat, directory, name, status, AT_SYMLINK_NOFOLLOW);
}

const char* tmpdump_client_destination(const struct tmpdump_client* client) {
  const char* destination = client->destination != NULL ? client->destination : getenv("TMPDUMP_DEST");
  return destination != NULL && destination[0] != '\0' ? destination : "/tmp";
}

static bool trusted(const struct stat* status) {
  return (status->st_uid == 0 || status->st_uid == geteuid()) && (status->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

static int code_of_errno(void) {
  switch (errno) {
  case ENOENT:
    return TMPDUMP_NO_DAEMON;
  case ELOOP: // a symbolic link where O_NOFOLLOW refuses one
  case ENOTDIR:
    return TMPDUMP_UNTRUSTED;
  default:
    return TMPDUMP_SYSTEM;
  }
}

static void close_quietly(int fd) {
  const int saved = errno;
  close(fd);
  errno = saved;
}

// DEST/.tmpdump as a descriptor, or -1 with *code. `real` (PATH_MAX bytes, may be NULL) receives DEST's own
// path.
static int open_directory(const char* destination, char* real, size_t* real_size, int* code) {
  const int top = open_at(AT_FDCWD, destination, O_PATH | O_DIRECTORY);
  if (top < 0) {
    *code = errno == ENOTDIR || errno == ENOENT ? TMPDUMP_NO_DAEMON : code_of_errno();
    return -1;
  }
  if (real != NULL) {
    char link[32] = "/proc/self/fd/";
    char* end = link + 14;
    for (int rest = top, scale = 1000000000; scale > 0; scale /= 10) {
      if (top >= scale || scale == 1) *end++ = (char)('0' + rest / scale);
      rest %= scale;
    }
    *end = '\0';
    const long length = syscall(SYS_readlinkat, AT_FDCWD, link, real, PATH_MAX - 1);
    *real_size = length > 0 ? (size_t)length : 0; // without /proc: only the given spelling is known
    real[*real_size] = '\0';
  }
  const int directory = open_at(top, TMPDUMP_MANIFEST_DIRECTORY, O_PATH | O_DIRECTORY | O_NOFOLLOW);
  if (directory < 0) *code = code_of_errno();
  close_quietly(top);
  return directory;
}

static size_t round_up(size_t size, size_t unit) {
  return (size + unit - 1) / unit * unit;
}

// Maps `file` behind a private area that begins with the attachment. NULL with *code on failure;
// TMPDUMP_AGAIN: the file has grown since its size was taken.
static struct tmpdump_attachment* map_manifest(int file, const struct stat* status, bool writable,
                                               int* code) {
  const uint64_t size = (uint64_t)status->st_size;
  if (size < TMPDUMP_MANIFEST_HEADER_SIZE || size > TMPDUMP_MANIFEST_MAX_SIZE) {
    *code = TMPDUMP_BAD_MANIFEST;
    return NULL;
  }
  const size_t page = (size_t)sysconf(_SC_PAGESIZE);
  // An entry takes at least this much of the file, so the bitmap is large enough for any count that passes
  // the checks.
  const size_t entry_size = sizeof(struct tmpdump_manifest_entry) + sizeof(struct tmpdump_manifest_progress);
  const size_t bitmap = (size_t)size / entry_size / 8 + 1;
  const size_t area = round_up(sizeof(struct tmpdump_attachment) + bitmap, page);
  const size_t reserved = area + round_up((size_t)size, page);
  unsigned char* base = mmap(NULL, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED) {
    *code = TMPDUMP_SYSTEM;
    return NULL;
  }
  const int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
  if (mmap(base + area, (size_t)size, protection, MAP_SHARED | MAP_FIXED, file, 0) == MAP_FAILED) {
    const int saved = errno;
    munmap(base, reserved);
    errno = saved;
    *code = TMPDUMP_SYSTEM;
    return NULL;
  }
  struct tmpdump_attachment* attachment = (struct tmpdump_attachment*)base;
  attachment->reserved = reserved;
  attachment->writable = writable;
  attachment->device = status->st_dev;
  attachment->inode = status->st_ino;
  attachment->done = base + sizeof *attachment;
  switch (tmpdump_view_open(&attachment->view, base + area, size)) {
  case TMPDUMP_VIEW_OK:
    attachment->listed = attachment->view.entries != NULL;
    return attachment;
  case TMPDUMP_VIEW_SHORT:
    *code = TMPDUMP_AGAIN;
    break;
  case TMPDUMP_VIEW_VERSION:
    *code = TMPDUMP_VERSION;
    break;
  case TMPDUMP_VIEW_BAD:
    *code = TMPDUMP_BAD_MANIFEST;
    break;
  }
  munmap(base, reserved);
  return NULL;
}

static struct tmpdump_attachment* open_manifest(int directory, int* code) {
  bool writable = true;
  int file = open_at(directory, TMPDUMP_MANIFEST_NAME, O_RDWR | O_NOFOLLOW | O_NONBLOCK);
  if (file < 0 && (errno == EACCES || errno == EROFS || errno == EPERM)) {
    writable = false;
    file = open_at(directory, TMPDUMP_MANIFEST_NAME, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  }
  if (file < 0) {
    *code = errno == EISDIR ? TMPDUMP_UNTRUSTED : code_of_errno();
    return NULL;
  }
  struct tmpdump_attachment* attachment = NULL;
  off_t seen = -1;
  for (;;) {
    struct stat status;
    if (file_status(file, &status) != 0) {
      *code = TMPDUMP_SYSTEM;
      break;
    }
    if (!S_ISREG(status.st_mode) || !trusted(&status)) {
      *code = TMPDUMP_UNTRUSTED;
      break;
    }
    attachment = map_manifest(file, &status, writable, code);
    if (attachment != NULL || *code != TMPDUMP_AGAIN) break;
    *code = TMPDUMP_BAD_MANIFEST; // shorter than it says, twice at the same size: truncated
    if (status.st_size == seen) break;
    seen = status.st_size;
  }
  close_quietly(file);
  return attachment;
}

static struct tmpdump_attachment* attach_anew(const char* destination, int* code) {
  size_t size = strlen(destination);
  while (size > 1 && destination[size - 1] == '/')
    --size;
  if (size >= PATH_MAX) {
    *code = TMPDUMP_NO_DAEMON;
    return NULL;
  }
  char real[PATH_MAX];
  size_t real_size = 0;
  const int directory = open_directory(destination, real, &real_size, code);
  if (directory < 0) return NULL;
  struct stat status;
  struct tmpdump_attachment* attachment = NULL;
  if (file_status(directory, &status) != 0) {
    *code = TMPDUMP_SYSTEM;
  } else if (!trusted(&status)) {
    *code = TMPDUMP_UNTRUSTED;
  } else {
    attachment = open_manifest(directory, code);
  }
  close_quietly(directory);
  if (attachment == NULL) return NULL;
  memcpy(attachment->destination, destination, size);
  attachment->destination_size = size;
  memcpy(attachment->real, real, real_size);
  attachment->real_size = real_size;
  return attachment;
}

static bool outdated(const struct tmpdump_attachment* attachment) {
  const uint32_t state = tmpdump_load32(&attachment->view.header->state);
  if (state == TMPDUMP_STATE_SUPERSEDED) return true;
  return !attachment->listed &&
         (state == TMPDUMP_STATE_LISTED || state == TMPDUMP_STATE_READY ||
          (state == TMPDUMP_STATE_FAILED && tmpdump_peek64(&attachment->view.header->entries_offset) != 0));
}

int tmpdump_attach(struct tmpdump_client* client, const struct tmpdump_attachment* stale,
                   const struct tmpdump_attachment** out) {
  struct tmpdump_attachment* current = __atomic_load_n(&client->current, __ATOMIC_ACQUIRE);
  while (current == NULL || current == stale || outdated(current)) {
    int code = TMPDUMP_SYSTEM;
    const char* destination = current != NULL ? current->destination : tmpdump_client_destination(client);
    struct tmpdump_attachment* next = attach_anew(destination, &code);
    if (next == NULL) return code;
    if (current != NULL && next->inode == current->inode && next->device == current->device &&
        next->listed == current->listed) {
      // A generation is marked as superseded only after its successor has taken the name, so this one lies;
      // going round again would never end.
      munmap(next, next->reserved);
      return TMPDUMP_BAD_MANIFEST;
    }
    next->older = current;
    if (__atomic_compare_exchange_n(&client->current, &current, next, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE)) {
      current = next;
    } else {
      munmap(next, next->reserved); // another thread was quicker; `current` is now its attachment
    }
  }
  *out = current;
  return TMPDUMP_OK;
}

void tmpdump_client_release(struct tmpdump_client* client) {
  struct tmpdump_attachment* attachment = __atomic_exchange_n(&client->current, NULL, __ATOMIC_ACQ_REL);
  while (attachment != NULL) {
    struct tmpdump_attachment* older = attachment->older;
    munmap(attachment, attachment->reserved);
    attachment = older;
  }
}

enum tmpdump_liveness tmpdump_liveness(const struct tmpdump_attachment* attachment) {
  int code = TMPDUMP_OK;
  const int directory = open_directory(attachment->destination, NULL, NULL, &code);
  // A removed directory takes the daemon's means to say anything with it; no descriptors left says nothing.
  if (directory < 0) return code == TMPDUMP_NO_DAEMON ? TMPDUMP_DEAD : TMPDUMP_ALIVE;
  enum tmpdump_liveness liveness = TMPDUMP_ALIVE;
  struct stat status;
  if (name_status(directory, TMPDUMP_MANIFEST_NAME, &status) == 0 &&
      (status.st_ino != attachment->inode || status.st_dev != attachment->device)) {
    liveness = TMPDUMP_REPLACED;
  } else {
    const int lock = open_at(directory, TMPDUMP_MANIFEST_LOCK, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    if (lock < 0) {
      if (errno == ENOENT) liveness = TMPDUMP_DEAD;
    } else {
      struct flock query = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
      if (fcntl(lock, F_OFD_GETLK, &query) == 0 && query.l_type == F_UNLCK) liveness = TMPDUMP_DEAD;
      close(lock);
    }
  }
  close(directory);
  return liveness;
}
