// SPDX-License-Identifier: Apache-2.0
// Between the files of the client library, and for its tests. Nothing here is exported.
//
// The file may be cut or scribbled over by others while we look, and a touch beyond its end is a SIGBUS in a
// process that is not ours. So the mapping is never touched: it is the address by which the kernel, which
// answers EFAULT, compares and sleeps on futex words. What is read is read from the file, into memory of our
// own.
//
// Thread safety without locks (a lock that a forked child inherits held would never open):
// 1. An attachment is immutable once it is visible, but for bits that only go from 0 to 1, and copies of
//    needed lists, which are the same whoever fetches them.
// 2. client->current goes from one attachment to the next by compare-and-swap; who loses unmaps its own.
// 3. Older attachments stay mapped, since another thread may read them: at most two a generation.
#ifndef TMPDUMP_CLIENT_INTERNAL_H
#define TMPDUMP_CLIENT_INTERNAL_H

#include "manifest_view.h"
#include "tmpdump.h"

#include <limits.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct tmpdump_attachment {
  struct tmpdump_view view; // of `copy`; of what changes there, only what it was when we attached
  struct tmpdump_attachment* older;
  size_t reserved; // bytes of address space: this struct, the bits, the copy and the file's mapping
  unsigned char* copy;
  const unsigned char* shared; // the file's mapping
  dev_t device;
  ino_t inode;
  bool writable; // first-wait times can be recorded
  bool listed;
  // A bit an entry: it and all that it needs is published; it is; its first wait is noted.
  unsigned char *done, *published, *noted;
  unsigned all_noted; // the first wait for everything is
  unsigned ready;     // everything was seen to be there: from then on nothing is looked at any more
  size_t destination_size;
  size_t real_size;
  char destination[PATH_MAX]; // as the environment spells it, without trailing slashes
  char real[PATH_MAX];        // the same directory after symbolic links; empty: unknown
};

struct tmpdump_client {
  const char* destination; // NULL: from the environment
  struct tmpdump_attachment* current;
};

// client.c: the public calls on an explicit client.
int tmpdump_client_wait(struct tmpdump_client* client, int timeout_ms);
int tmpdump_client_wait_file(struct tmpdump_client* client, const char* path, int timeout_ms);
// What a program is about to do with a name, and so how far it has to wait.
enum tmpdump_use {
  TMPDUMP_USE_NAME, // the name itself: lstat
  TMPDUMP_USE_FILE, // what it leads to through symbolic links: stat
  TMPDUMP_USE_LIST, // that and, of a directory, the names in it: open, opendir
  TMPDUMP_USE_LOAD, // that and all it needs: dlopen
};
int tmpdump_client_wait_use(struct tmpdump_client* client, const char* path, enum tmpdump_use use,
                            int timeout_ms);
// Without waiting: OK (the archive holds it), NOT_IN_ARCHIVE, TIMEOUT (it is not listed yet), or why not.
int tmpdump_client_holds(struct tmpdump_client* client, const char* path);
int tmpdump_client_status(struct tmpdump_client* client, struct tmpdump_report* out);
size_t tmpdump_client_reason(struct tmpdump_client* client, char* buffer, size_t size);
// Unmaps everything. Only when no other thread uses the client.
void tmpdump_client_release(struct tmpdump_client* client);

// attach.c
const char* tmpdump_client_destination(const struct tmpdump_client* client);
// The current attachment, renewed if it is `stale` (NULL: none is), if its generation is superseded, or if
// its listing has come since. Returns a code.
int tmpdump_attach(struct tmpdump_client* client, const struct tmpdump_attachment* stale,
                   const struct tmpdump_attachment** out);

static inline bool tmpdump_is_ready(const struct tmpdump_attachment* attachment) {
  return __atomic_load_n(&attachment->ready, __ATOMIC_ACQUIRE) != 0;
}
static inline void tmpdump_set_ready(const struct tmpdump_attachment* attachment) {
  __atomic_store_n((unsigned*)&attachment->ready, 1U, __ATOMIC_RELEASE);
}
// The word of the file that `word` is the copy of: OK with *value, or BAD_MANIFEST. `guess`: tried first.
int tmpdump_look(const struct tmpdump_attachment* attachment, const uint32_t* word, uint32_t guess,
                 uint32_t* value);
// The address that the kernel knows it by.
const uint32_t* tmpdump_shared_word(const struct tmpdump_attachment* attachment, const uint32_t* word);
// Reads the file's bytes whose copy is at `bytes`; or writes them, where they are zero. AGAIN: another
// manifest is at the name. NO_DAEMON: none is.
int tmpdump_fetch(const struct tmpdump_attachment* attachment, const void* bytes, void* out, size_t size);
int tmpdump_note(const struct tmpdump_attachment* attachment, const uint64_t* word, uint64_t value);

enum tmpdump_liveness {
  TMPDUMP_ALIVE, // or it cannot be told
  TMPDUMP_DEAD,
  TMPDUMP_REPLACED, // another manifest is at the name
  TMPDUMP_CUT,      // this one has become shorter
};
enum tmpdump_liveness tmpdump_liveness(const struct tmpdump_attachment* attachment);

// wait.c
struct tmpdump_deadline {
  int timeout_ms;      // negative: none
  uint64_t at_ns;      // CLOCK_MONOTONIC; 0: counts from the first sleep, so that a ready file costs no clock
  uint64_t look_at_ns; // when to see whether the daemon lives; 0: before the first sleep
};
// Beyond enum tmpdump_code: the manifest was superseded or has got its listing; attach again, this one is
// stale.
enum { TMPDUMP_AGAIN = -1 };
int tmpdump_wait_ready(const struct tmpdump_attachment* attachment, struct tmpdump_deadline* deadline);
int tmpdump_wait_listed(const struct tmpdump_attachment* attachment, struct tmpdump_deadline* deadline);
// Only that entry. `used` notes that a client asked for it.
int tmpdump_wait_entry(const struct tmpdump_attachment* attachment, uint32_t entry, bool used,
                       struct tmpdump_deadline* deadline);
// What a published entry needs, as tmpdump_view_needed().
int tmpdump_needed(const struct tmpdump_attachment* attachment, uint32_t entry, const uint32_t** list,
                   uint32_t* count);
bool tmpdump_is_published(const struct tmpdump_attachment* attachment, uint32_t entry);
int tmpdump_wait_closure(const struct tmpdump_attachment* attachment, uint32_t entry,
                         struct tmpdump_deadline* deadline);

// use.c: of an attachment that is listed. NOT_IN_ARCHIVE at once for what the archive does not hold.
int tmpdump_wait_use(const struct tmpdump_attachment* attachment, const char* path, size_t size,
                     enum tmpdump_use use, struct tmpdump_deadline* deadline);

// path.c
// Index of the entry that `path` names as it stands or cleaned as text; UINT32_MAX when there is none. Then
// `clean` (PATH_MAX bytes) holds the cleaned path relative to the destination; *clean_size is 0 for the
// destination itself, and SIZE_MAX for what lies elsewhere.
uint32_t tmpdump_find_path(const struct tmpdump_attachment* attachment, const char* path, size_t size,
                           char* clean, size_t* clean_size);
// False: `path` is absolute and not below `destination`, or in its .tmpdump.
bool tmpdump_is_below(const char* destination, size_t destination_size, const char** path, size_t* size);

#ifdef __cplusplus
}
#endif

#endif
