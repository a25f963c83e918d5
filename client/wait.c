// SPDX-License-Identifier: Apache-2.0
// Waiting on the manifest's futex words. A word's change wakes at once; a daemon that dies changes nothing,
// so every sleep is cut into slices after which its lock is looked at.
#include "internal.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

// How late a death is noticed. Costs a waiting thread ten wake-ups of about 10 µs a second; nothing is gained
// by less, since nothing on the way to ready depends on it.
static const uint64_t liveness_slice_ns = 100000000;

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static int death(const struct tmpdump_attachment* attachment, const uint32_t* word, uint32_t expected) {
  switch (tmpdump_liveness(attachment)) {
  case TMPDUMP_ALIVE:
    return TMPDUMP_OK;
  case TMPDUMP_REPLACED:
    return TMPDUMP_AGAIN;
  case TMPDUMP_CUT:
    return TMPDUMP_BAD_MANIFEST;
  case TMPDUMP_DEAD:
    break;
  }
  // It may have changed the word and then ended, all between our last look and the look at the lock.
  uint32_t value = 0;
  const int code = tmpdump_look(attachment, word, expected, &value);
  return code == TMPDUMP_OK && value == expected ? TMPDUMP_DAEMON_DIED : code;
}

// Sleeps while *word is `expected`, at most one slice. OK: look again.
static int sleep_on(const struct tmpdump_attachment* attachment, const uint32_t* word, uint32_t expected,
                    struct tmpdump_deadline* deadline) {
  const uint64_t now = now_ns();
  if (deadline->at_ns == 0) {
    deadline->at_ns =
        deadline->timeout_ms < 0 ? UINT64_MAX : now + (uint64_t)deadline->timeout_ms * UINT64_C(1000000);
  }
  // By the clock, not by the sleep's time-out: a profiler's signals may interrupt every single sleep.
  if (now >= deadline->look_at_ns) {
    const int code = death(attachment, word, expected);
    if (code != TMPDUMP_OK) return code;
    deadline->look_at_ns = now + liveness_slice_ns;
  }
  if (now >= deadline->at_ns) {
    uint32_t value = 0;
    const int code = tmpdump_look(attachment, word, expected, &value);
    return code == TMPDUMP_OK && value == expected ? TMPDUMP_TIMEOUT : code;
  }
  const uint64_t until = deadline->at_ns < deadline->look_at_ns ? deadline->at_ns : deadline->look_at_ns;
  const struct timespec limit = {.tv_sec = 0, .tv_nsec = (long)(until - now)}; // below a second: one slice
  // Shared, not FUTEX_PRIVATE: the key is the file's page. Works on a read-only mapping too.
  const uint32_t* shared = tmpdump_shared_word(attachment, word);
  if (syscall(SYS_futex, shared, FUTEX_WAIT, expected, &limit, NULL, 0) == 0) return TMPDUMP_OK;
  switch (errno) {
  case EAGAIN:
  case EINTR:
  case ETIMEDOUT:
    return TMPDUMP_OK;
  case EFAULT: // the file was truncated under us
    return TMPDUMP_BAD_MANIFEST;
  default:
    return TMPDUMP_SYSTEM;
  }
}

static bool has_bit(const unsigned char* bits, uint32_t index) {
  const unsigned byte = __atomic_load_n(&bits[index / 8], __ATOMIC_ACQUIRE);
  return (byte >> (index % 8) & 1U) != 0;
}

// What it was before.
static bool set_bit(unsigned char* bits, uint32_t index) {
  const unsigned char bit = (unsigned char)(1U << (index % 8));
  return (__atomic_fetch_or(&bits[index / 8], bit, __ATOMIC_ACQ_REL) & bit) != 0;
}

// Once a process. That it cannot be noted is nobody's error.
static void note_first_wait(const struct tmpdump_attachment* attachment, uint32_t entry) {
  if (!attachment->writable || has_bit(attachment->noted, entry) || set_bit(attachment->noted, entry)) return;
  const int saved = errno;
  (void)tmpdump_note(attachment, &attachment->view.progress[entry].first_wait_ns, now_ns());
  errno = saved;
}

static void note_first_wait_for_all(const struct tmpdump_attachment* attachment) {
  unsigned* noted = (unsigned*)&attachment->all_noted;
  if (!attachment->writable || __atomic_exchange_n(noted, 1, __ATOMIC_RELAXED) != 0) return;
  const int saved = errno;
  (void)tmpdump_note(attachment, &attachment->view.header->first_wait_ns, now_ns());
  errno = saved;
}

int tmpdump_wait_listed(const struct tmpdump_attachment* attachment, struct tmpdump_deadline* deadline) {
  const struct tmpdump_manifest_header* header = attachment->view.header;
  for (;;) {
    uint32_t state = 0;
    int code = tmpdump_look(attachment, &header->state, TMPDUMP_STATE_STARTING, &state);
    if (code != TMPDUMP_OK) return code;
    if (state == TMPDUMP_STATE_FAILED) {
      uint64_t entries = 0;
      code = tmpdump_fetch(attachment, &header->entries_offset, &entries, sizeof entries);
      if (code != TMPDUMP_OK && code != TMPDUMP_NO_DAEMON) return code;
      return entries != 0 ? TMPDUMP_AGAIN : TMPDUMP_FAILED;
    }
    if (state != TMPDUMP_STATE_STARTING) return TMPDUMP_AGAIN;
    code = sleep_on(attachment, &header->state, state, deadline);
    if (code != TMPDUMP_OK) return code;
  }
}

int tmpdump_wait_ready(const struct tmpdump_attachment* attachment, struct tmpdump_deadline* deadline) {
  const uint32_t* word = &attachment->view.header->state;
  note_first_wait_for_all(attachment);
  if (tmpdump_is_ready(attachment)) return TMPDUMP_OK;
  for (uint32_t state = TMPDUMP_STATE_LISTED;;) {
    int code = tmpdump_look(attachment, word, state, &state);
    if (code != TMPDUMP_OK) return code;
    switch (state) {
    case TMPDUMP_STATE_READY:
      if (attachment->listed) tmpdump_set_ready(attachment);
      return TMPDUMP_OK;
    case TMPDUMP_STATE_FAILED:
      return TMPDUMP_FAILED;
    case TMPDUMP_STATE_SUPERSEDED:
      return TMPDUMP_AGAIN;
    case TMPDUMP_STATE_STARTING:
    case TMPDUMP_STATE_LISTED:
      break;
    default:
      return TMPDUMP_BAD_MANIFEST;
    }
    code = sleep_on(attachment, word, state, deadline);
    if (code != TMPDUMP_OK) return code;
  }
}

int tmpdump_wait_entry(const struct tmpdump_attachment* attachment, uint32_t entry, bool used,
                       struct tmpdump_deadline* deadline) {
  const uint32_t* word = &attachment->view.progress[entry].state;
  if (used) note_first_wait(attachment, entry);
  // That is never taken back.
  if (has_bit(attachment->published, entry)) return TMPDUMP_OK;
  for (uint32_t state = TMPDUMP_ENTRY_PENDING;;) {
    int code = tmpdump_look(attachment, word, state, &state);
    if (code != TMPDUMP_OK) return code;
    switch (state) {
    case TMPDUMP_ENTRY_PUBLISHED:
      (void)set_bit(attachment->published, entry);
      return TMPDUMP_OK;
    case TMPDUMP_ENTRY_PENDING:
      break;
    case TMPDUMP_ENTRY_FAILED:
      return TMPDUMP_FAILED;
    case TMPDUMP_ENTRY_SUPERSEDED:
      return TMPDUMP_AGAIN;
    default:
      return TMPDUMP_BAD_MANIFEST;
    }
    code = sleep_on(attachment, word, TMPDUMP_ENTRY_PENDING, deadline);
    if (code != TMPDUMP_OK) return code;
  }
}

bool tmpdump_is_published(const struct tmpdump_attachment* attachment, uint32_t entry) {
  uint32_t state = TMPDUMP_ENTRY_PENDING;
  if (has_bit(attachment->published, entry)) return true;
  if (tmpdump_look(attachment, &attachment->view.progress[entry].state, TMPDUMP_ENTRY_PENDING, &state) !=
          TMPDUMP_OK ||
      state != TMPDUMP_ENTRY_PUBLISHED) {
    return false;
  }
  (void)set_bit(attachment->published, entry);
  return true;
}

int tmpdump_needed(const struct tmpdump_attachment* attachment, uint32_t entry, const uint32_t** list,
                   uint32_t* count) {
  const struct tmpdump_view* view = &attachment->view;
  struct tmpdump_manifest_progress now;
  int code = tmpdump_fetch(attachment, &view->progress[entry], &now, sizeof now);
  if (code != TMPDUMP_OK) return code;
  *count = now.needed_count;
  *list = view->needed;
  if (*count != TMPDUMP_NEEDS_EVERYTHING) {
    if (now.needed_first > view->needed_capacity || *count > view->needed_capacity - now.needed_first) {
      return TMPDUMP_BAD_MANIFEST;
    }
    *list = view->needed + now.needed_first;
    // Into the copy's own place of it; what another thread puts there meanwhile are the same bytes.
    if (*count > 0) {
      code = tmpdump_fetch(attachment, *list, (uint32_t*)*list, (size_t)*count * sizeof **list);
      if (code != TMPDUMP_OK) return code;
    }
  }
  return tmpdump_manifest_needed_check(now.needed_first, *count, *list) == now.needed_check
             ? TMPDUMP_OK
             : TMPDUMP_BAD_MANIFEST;
}

// Breadth first from `queue`[0]; `queue` has room for every entry, `seen` is one zero bit an entry. An
// entry's list is read after the entry was seen published, which is when it is complete.
static int wait_all_needed(const struct tmpdump_attachment* attachment, uint32_t* queue, unsigned char* seen,
                           struct tmpdump_deadline* deadline) {
  const struct tmpdump_view* view = &attachment->view;
  uint32_t tail = 1;
  seen[queue[0] / 8] = (unsigned char)(1U << (queue[0] % 8));
  for (uint32_t head = 0; head < tail; ++head) {
    int code = tmpdump_wait_entry(attachment, queue[head], true, deadline);
    if (code != TMPDUMP_OK) return code;
    const uint32_t* list = NULL;
    uint32_t count = 0;
    code = tmpdump_needed(attachment, queue[head], &list, &count);
    // Somebody removed it, and what it told: good where nothing can be missing, else the daemon is cut off.
    if (code == TMPDUMP_NO_DAEMON) return tmpdump_wait_ready(attachment, deadline);
    if (code != TMPDUMP_OK) return code;
    if (count == TMPDUMP_NEEDS_EVERYTHING) return tmpdump_wait_ready(attachment, deadline);
    for (uint32_t i = 0; i < count; ++i) {
      const uint32_t next = tmpdump_peek32(&list[i]);
      if (next >= view->entry_count) return TMPDUMP_BAD_MANIFEST;
      const unsigned char bit = (unsigned char)(1U << (next % 8));
      if ((seen[next / 8] & bit) != 0) continue;
      seen[next / 8] |= bit;
      if (!has_bit(attachment->done, next)) queue[tail++] = next;
    }
  }
  for (uint32_t i = 0; i < tail; ++i)
    (void)set_bit(attachment->done, queue[i]);
  return TMPDUMP_OK;
}

int tmpdump_wait_closure(const struct tmpdump_attachment* attachment, uint32_t entry,
                         struct tmpdump_deadline* deadline) {
  enum { small = 1024 }; // entries; what fits on the stack, 4.2 KiB
  const struct tmpdump_view* view = &attachment->view;
  note_first_wait(attachment, entry);
  if (has_bit(attachment->done, entry)) return TMPDUMP_OK;
  if (view->entry_count <= small) {
    uint32_t queue[small];
    unsigned char seen[small / 8] = {0};
    queue[0] = entry;
    return wait_all_needed(attachment, queue, seen, deadline);
  }
  // Address space, not memory: only the pages that the walk touches come into being.
  const size_t queue_size = (size_t)view->entry_count * sizeof(uint32_t);
  const size_t size = queue_size + view->entry_count / 8 + 1;
  unsigned char* scratch = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (scratch == MAP_FAILED) return TMPDUMP_SYSTEM;
  uint32_t* queue = (uint32_t*)scratch;
  queue[0] = entry;
  const int code = wait_all_needed(attachment, queue, scratch + queue_size, deadline);
  const int saved = errno;
  munmap(scratch, size);
  errno = saved;
  return code;
}
