// SPDX-License-Identifier: Apache-2.0
// Opening, checking and mapping the manifest.
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef F_OFD_GETLK
#define F_OFD_GETLK 36 // Linux 3.15; glibc names it since 2.20
#endif

// System calls without glibc's wrappers: its fstat and fstatat carry version 2.33, and whoever interposes
// open to wait for files (a preload shim) must not be called from inside the wait. On 64-bit targets the
// kernel's struct stat is glibc's.
static int open_at(int directory, const char* name, int flags) {
  long fd = -1;
  do {
    fd = syscall(SYS_openat, directory, name, flags | O_CLOEXEC, 0);
  } while (fd < 0 && errno == EINTR);
  return (int)fd;
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

// Of the manifest itself: a directory in its place, or a .tmpdump (0700) that is closed to us.
static int code_of_manifest_errno(void) {
  return errno == EISDIR || errno == EACCES ? TMPDUMP_UNTRUSTED : code_of_errno();
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

// From the file into memory of our own. OK, AGAIN (the file has become shorter), SYSTEM.
static int read_at(int file, void* out, size_t size, uint64_t offset) {
  unsigned char* at = out;
  while (size > 0) {
    const long got = syscall(SYS_pread64, file, at, size, (off_t)offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return TMPDUMP_SYSTEM;
    if (got == 0) return TMPDUMP_AGAIN;
    at += got;
    offset += (uint64_t)got;
    size -= (size_t)got;
  }
  return TMPDUMP_OK;
}

// Maps `file` behind its copy, and that behind the attachment. NULL with *code on failure; TMPDUMP_AGAIN: the
// file's size has changed since it was taken.
static struct tmpdump_attachment* map_manifest(int file, const struct stat* status, bool writable,
                                               int* code) {
  const uint64_t size = (uint64_t)status->st_size;
  if (size < TMPDUMP_MANIFEST_HEADER_SIZE || size > TMPDUMP_MANIFEST_MAX_SIZE) {
    *code = TMPDUMP_BAD_MANIFEST;
    return NULL;
  }
  const size_t page = (size_t)sysconf(_SC_PAGESIZE);
  // An entry takes at least this much of the file, so the bits are enough for any count that passes the
  // checks.
  const size_t entry_size = sizeof(struct tmpdump_manifest_entry) + sizeof(struct tmpdump_manifest_progress);
  const size_t bitmap = (size_t)size / entry_size / 8 + 1;
  const size_t area = round_up(sizeof(struct tmpdump_attachment) + 3 * bitmap, page);
  const size_t whole = round_up((size_t)size, page);
  const size_t reserved = area + 2 * whole;
  unsigned char* base = mmap(NULL, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED) {
    *code = TMPDUMP_SYSTEM;
    return NULL;
  }
  *code = TMPDUMP_SYSTEM;
  enum tmpdump_view_result opened = TMPDUMP_VIEW_BAD;
  struct tmpdump_attachment* attachment = (struct tmpdump_attachment*)base;
  if (mmap(base + area + whole, (size_t)size, PROT_READ, MAP_SHARED | MAP_FIXED, file, 0) != MAP_FAILED) {
    *code = read_at(file, base + area, (size_t)size, 0);
  }
  if (*code == TMPDUMP_OK) {
    attachment->reserved = reserved;
    attachment->writable = writable;
    attachment->device = status->st_dev;
    attachment->inode = status->st_ino;
    attachment->copy = base + area;
    attachment->shared = base + area + whole;
    attachment->done = base + sizeof *attachment;
    attachment->published = attachment->done + bitmap;
    attachment->noted = attachment->published + bitmap;
    opened = tmpdump_view_open(&attachment->view, base + area, size);
    attachment->listed = attachment->view.entries != NULL;
    if (opened == TMPDUMP_VIEW_OK) return attachment;
    *code = opened == TMPDUMP_VIEW_SHORT     ? TMPDUMP_AGAIN
            : opened == TMPDUMP_VIEW_VERSION ? TMPDUMP_VERSION
                                             : TMPDUMP_BAD_MANIFEST;
  }
  const int saved = errno;
  munmap(base, reserved);
  errno = saved;
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
    *code = code_of_manifest_errno();
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

const uint32_t* tmpdump_shared_word(const struct tmpdump_attachment* attachment, const uint32_t* word) {
  return (const uint32_t*)(attachment->shared + ((const unsigned char*)word - attachment->copy));
}

int tmpdump_look(const struct tmpdump_attachment* attachment, const uint32_t* word, uint32_t guess,
                 uint32_t* value) {
  const uint32_t* shared = tmpdump_shared_word(attachment, word);
  // States only go up, a few times: who meets none of them in so many rounds has no state before it.
  for (uint32_t attempt = 0; attempt < 3 * (TMPDUMP_STATE_SUPERSEDED + 1); ++attempt) {
    const uint32_t candidate = (guess + attempt) % (TMPDUMP_STATE_SUPERSEDED + 1);
    // Wakes nobody, moves nobody: what is left is the comparison.
    if (syscall(SYS_futex, shared, FUTEX_CMP_REQUEUE, 0, NULL, shared, candidate) >= 0) {
      // What the word guards was read before it only if the kernel had let it.
      __atomic_thread_fence(__ATOMIC_ACQUIRE);
      *value = candidate;
      return TMPDUMP_OK;
    }
    if (errno == EFAULT) return TMPDUMP_BAD_MANIFEST; // the file was truncated under us
    if (errno != EAGAIN) return TMPDUMP_SYSTEM;
  }
  return TMPDUMP_BAD_MANIFEST;
}

// Opened for a moment: a program may close or reuse any descriptor that we kept.
static int open_again(const struct tmpdump_attachment* attachment, int mode, int* code) {
  const int directory = open_directory(attachment->destination, NULL, NULL, code);
  if (directory < 0) return -1;
  const int file = open_at(directory, TMPDUMP_MANIFEST_NAME, mode | O_NOFOLLOW | O_NONBLOCK);
  if (file < 0) *code = code_of_manifest_errno();
  close_quietly(directory);
  if (file < 0) return -1;
  struct stat status;
  if (file_status(file, &status) != 0) {
    *code = TMPDUMP_SYSTEM;
  } else if (status.st_ino != attachment->inode || status.st_dev != attachment->device) {
    *code = TMPDUMP_AGAIN;
  } else if ((uint64_t)status.st_size < attachment->view.size) {
    *code = TMPDUMP_BAD_MANIFEST;
  } else {
    return file;
  }
  close_quietly(file);
  return -1;
}

static uint64_t offset_of(const struct tmpdump_attachment* attachment, const void* bytes) {
  return (uint64_t)((const unsigned char*)bytes - attachment->copy);
}

int tmpdump_fetch(const struct tmpdump_attachment* attachment, const void* bytes, void* out, size_t size) {
  int code = TMPDUMP_OK;
  const int file = open_again(attachment, O_RDONLY, &code);
  if (file < 0) return code;
  code = read_at(file, out, size, offset_of(attachment, bytes));
  close_quietly(file);
  return code == TMPDUMP_AGAIN ? TMPDUMP_BAD_MANIFEST : code;
}

int tmpdump_note(const struct tmpdump_attachment* attachment, const uint64_t* word, uint64_t value) {
  int code = TMPDUMP_OK;
  const int file = open_again(attachment, O_RDWR, &code);
  if (file < 0) return code;
  uint64_t before = 0;
  const uint64_t offset = offset_of(attachment, word);
  code = read_at(file, &before, sizeof before, offset);
  // Two clients may both find nothing; their times are the same for all that is done with them.
  if (code == TMPDUMP_OK && before == 0 &&
      syscall(SYS_pwrite64, file, &value, sizeof value, (off_t)offset) != (long)sizeof value) {
    code = TMPDUMP_SYSTEM;
  }
  close_quietly(file);
  return code == TMPDUMP_AGAIN ? TMPDUMP_BAD_MANIFEST : code;
}

// OK: it is the current one, as far as can be seen. AGAIN: there is a later one.
static int look_whether_current(struct tmpdump_attachment* attachment) {
  // What was ready stays: where a daemon starts over it, a runtime does not live through that. And a function
  // that was restored from a snapshot makes no system call for what it has.
  if (tmpdump_is_ready(attachment)) return TMPDUMP_OK;
  uint32_t state = 0;
  const uint32_t likely = attachment->listed ? TMPDUMP_STATE_LISTED : TMPDUMP_STATE_STARTING;
  int code = tmpdump_look(attachment, &attachment->view.header->state, likely, &state);
  if (code != TMPDUMP_OK) return code;
  if (state == TMPDUMP_STATE_READY && attachment->listed) tmpdump_set_ready(attachment);
  if (state == TMPDUMP_STATE_SUPERSEDED) return TMPDUMP_AGAIN;
  if (attachment->listed) return TMPDUMP_OK;
  if (state == TMPDUMP_STATE_LISTED || state == TMPDUMP_STATE_READY) return TMPDUMP_AGAIN;
  if (state != TMPDUMP_STATE_FAILED) return TMPDUMP_OK;
  uint64_t entries = 0; // of a listing that came before it failed
  code = tmpdump_fetch(attachment, &attachment->view.header->entries_offset, &entries, sizeof entries);
  if (code == TMPDUMP_NO_DAEMON) return TMPDUMP_OK;
  return code == TMPDUMP_OK && entries != 0 ? TMPDUMP_AGAIN : code;
}

int tmpdump_attach(struct tmpdump_client* client, const struct tmpdump_attachment* stale,
                   const struct tmpdump_attachment** out) {
  struct tmpdump_attachment* current = __atomic_load_n(&client->current, __ATOMIC_ACQUIRE);
  for (;;) {
    int code = current == NULL || current == stale ? TMPDUMP_AGAIN : look_whether_current(current);
    if (code == TMPDUMP_OK) break;
    // Superseded, or damaged: perhaps there is a good one at the name by now.
    code = TMPDUMP_SYSTEM;
    const char* destination = current != NULL ? current->destination : tmpdump_client_destination(client);
    struct tmpdump_attachment* next = attach_anew(destination, &code);
    if (next == NULL) return code;
    if (current != NULL && next->inode == current->inode && next->device == current->device &&
        (current->listed || !next->listed)) {
      // A generation is marked as superseded only after its successor has taken the name, and a listing is
      // never taken back, so this one lies; going round again would never end.
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
  const bool named = name_status(directory, TMPDUMP_MANIFEST_NAME, &status) == 0;
  if (named && (status.st_ino != attachment->inode || status.st_dev != attachment->device)) {
    liveness = TMPDUMP_REPLACED;
  } else if (named && (uint64_t)status.st_size < attachment->view.size) {
    liveness = TMPDUMP_CUT;
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
