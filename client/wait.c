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
  case TMPDUMP_DEAD:
    break;
  }
  // It may have changed the word and then ended, all between our last look and the look at the lock.
  return tmpdump_load32(word) == expected ? TMPDUMP_DAEMON_DIED : TMPDUMP_OK;
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
  if (now >= deadline->at_ns) return tmpdump_load32(word) == expected ? TMPDUMP_TIMEOUT : TMPDUMP_OK;
  const uint64_t until = deadline->at_ns < deadline->look_at_ns ? deadline->at_ns : deadline->look_at_ns;
  const struct timespec limit = {.tv_sec = 0, .tv_nsec = (long)(until - now)}; // below a second: one slice
  // Shared, not FUTEX_PRIVATE: the key is the file's page. Works on a read-only mapping too.
  if (syscall(SYS_futex, word, FUTEX_WAIT, expected, &limit, NULL, 0) == 0) return TMPDUMP_OK;
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

static void note_first_wait(const struct tmpdump_attachment* attachment, uint64_t* word) {
  if (!attachment->writable || tmpdump_peek64(word) != 0) return;
  uint64_t none = 0;
  __atomic_compare_exchange_n(word, &none, now_ns(), false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

int tmpdump_wait_listed(const struct tmpdump_attachment* attachment, struct tmpdump_deadline* deadline) {
  const uint32_t* word = &attachment->view.header->state;
  for (;;) {
    const uint32_t state = tmpdump_load32(word);
    if (state == TMPDUMP_STATE_FAILED) {
      return tmpdump_peek64(&attachment->view.header->entries_offset) != 0 ? TMPDUMP_AGAIN : TMPDUMP_FAILED;
    }
    if (state != TMPDUMP_STATE_STARTING) return TMPDUMP_AGAIN;
    const int code = sleep_on(attachment, word, state, deadline);
    if (code != TMPDUMP_OK) return code;
  }
}

int tmpdump_wait_ready(const struct tmpdump_attachment* attachment, struct tmpdump_deadline* deadline) {
  const uint32_t* word = &attachment->view.header->state;
  note_first_wait(attachment, &attachment->view.header->first_wait_ns);
  for (;;) {
    const uint32_t state = tmpdump_load32(word);
    switch (state) {
    case TMPDUMP_STATE_READY:
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
    const int code = sleep_on(attachment, word, state, deadline);
    if (code != TMPDUMP_OK) return code;
  }
}

int tmpdump_wait_entry(const struct tmpdump_attachment* attachment, uint32_t entry, bool used,
                       struct tmpdump_deadline* deadline) {
  struct tmpdump_manifest_progress* progress = &attachment->view.progress[entry];
  if (used) note_first_wait(attachment, &progress->first_wait_ns);
  for (;;) {
    switch (tmpdump_load32(&progress->state)) {
    case TMPDUMP_ENTRY_PUBLISHED:
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
    const int code = sleep_on(attachment, &progress->state, TMPDUMP_ENTRY_PENDING, deadline);
    if (code != TMPDUMP_OK) return code;
  }
}

static bool is_done(const struct tmpdump_attachment* attachment, uint32_t entry) {
  const unsigned bits = __atomic_load_n(&attachment->done[entry / 8], __ATOMIC_ACQUIRE);
  return (bits >> (entry % 8) & 1U) != 0;
}

static void set_done(const struct tmpdump_attachment* attachment, uint32_t entry) {
  __atomic_fetch_or(&attachment->done[entry / 8], (unsigned char)(1U << (entry % 8)), __ATOMIC_RELEASE);
}

// Breadth first from `queue`[0]; `queue` has room for every entry, `seen` is one zero bit an entry. An
// entry's list is read after the entry was seen published, which is when it is complete.
static int wait_all_needed(const struct tmpdump_attachment* attachment, uint32_t* queue, unsigned char* seen,
                           struct tmpdump_deadline* deadline) {
  const struct tmpdump_view* view = &attachment->view;
  uint32_t tail = 1;
  seen[queue[0] / 8] = (unsigned char)(1U << (queue[0] % 8));
  for (uint32_t head = 0; head < tail; ++head) {
    const int code = tmpdump_wait_entry(attachment, queue[head], true, deadline);
    if (code != TMPDUMP_OK) return code;
    const uint32_t* list = NULL;
    uint32_t count = 0;
    if (!tmpdump_view_needed(view, queue[head], &list, &count)) return TMPDUMP_BAD_MANIFEST;
    if (count == TMPDUMP_NEEDS_EVERYTHING) return tmpdump_wait_ready(attachment, deadline);
    for (uint32_t i = 0; i < count; ++i) {
      const uint32_t next = tmpdump_peek32(&list[i]);
      if (next >= view->entry_count) return TMPDUMP_BAD_MANIFEST;
      const unsigned char bit = (unsigned char)(1U << (next % 8));
      if ((seen[next / 8] & bit) != 0) continue;
      seen[next / 8] |= bit;
      if (!is_done(attachment, next)) queue[tail++] = next;
    }
  }
  for (uint32_t i = 0; i < tail; ++i)
    set_done(attachment, queue[i]);
  return TMPDUMP_OK;
}

int tmpdump_wait_closure(const struct tmpdump_attachment* attachment, uint32_t entry,
                         struct tmpdump_deadline* deadline) {
  enum { small = 1024 }; // entries; what fits on the stack, 4.2 KiB
  const struct tmpdump_view* view = &attachment->view;
  note_first_wait(attachment, &view->progress[entry].first_wait_ns);
  if (is_done(attachment, entry)) return TMPDUMP_OK;
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
