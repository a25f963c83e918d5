// SPDX-License-Identifier: Apache-2.0
// Layout of DEST/.tmpdump/manifest, the file through which the daemon tells the runtime's process which files
// are ready. Both sides map it. manifest.md is the page that explains it: state machine, memory ordering,
// compatibility. C11 and C++20, little-endian, 64-bit targets.
#ifndef TMPDUMP_PROTO_MANIFEST_H
#define TMPDUMP_PROTO_MANIFEST_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifndef __cplusplus
#include <assert.h> // static_assert in C11
#endif

#define TMPDUMP_MANIFEST_DIRECTORY ".tmpdump"
#define TMPDUMP_MANIFEST_NAME "manifest"
#define TMPDUMP_MANIFEST_PREVIOUS "manifest.previous" // the last generation that had a listing
#define TMPDUMP_MANIFEST_LOCK "lock" // the daemon holds a write lock on it as long as it lives

#define TMPDUMP_MANIFEST_MAGIC "tmpdump\n" // 8 bytes, without the terminating NUL
#define TMPDUMP_MANIFEST_MAJOR 1           // readers refuse another one
#define TMPDUMP_MANIFEST_MINOR 0           // readers accept any; new fields take reserved (zero) bytes
#define TMPDUMP_MANIFEST_HEADER_SIZE 4096U

// A reader refuses more: bounds what a hostile file can make it map.
#define TMPDUMP_MANIFEST_MAX_SIZE (UINT64_C(1) << 30U)

// header.state, a futex word.
enum tmpdump_manifest_state {
  TMPDUMP_STATE_STARTING = 1,   // nothing is known yet; the file is one header long
  TMPDUMP_STATE_LISTED = 2,     // the listing is in the file; entries become ready one by one
  TMPDUMP_STATE_READY = 3,      // every entry is published
  TMPDUMP_STATE_FAILED = 4,     // failure_code and reason are set; what is not published will not be
  TMPDUMP_STATE_SUPERSEDED = 5, // a new generation is at the file's name: open it again
};

// progress.state, a futex word.
enum tmpdump_manifest_entry_state {
  TMPDUMP_ENTRY_PENDING = 0,
  TMPDUMP_ENTRY_PUBLISHED = 1,  // whole, verified, at its place; needed_* are valid
  TMPDUMP_ENTRY_FAILED = 2,     // header.state is or will be FAILED
  TMPDUMP_ENTRY_SUPERSEDED = 3, // header.state is SUPERSEDED
};

enum tmpdump_manifest_kind {
  TMPDUMP_KIND_FILE = 0,
  TMPDUMP_KIND_DIRECTORY = 1,
  TMPDUMP_KIND_SYMLINK = 2,
};

// Indices into header.counters.
enum tmpdump_manifest_counter {
  TMPDUMP_COUNTER_FILES_TOTAL = 0,     // entries of the listing, all kinds
  TMPDUMP_COUNTER_FILES_PUBLISHED = 1, // of them, published; includes the kept ones
  TMPDUMP_COUNTER_FILES_KEPT = 2,      // taken over from the previous generation without a download
  TMPDUMP_COUNTER_BYTES_TOTAL = 3,     // uncompressed sizes of all entries
  TMPDUMP_COUNTER_BYTES_PUBLISHED = 4, // uncompressed sizes of published entries
  TMPDUMP_COUNTER_BYTES_RECEIVED = 5,  // bytes of response bodies
  TMPDUMP_COUNTER_REQUESTS = 6,
  TMPDUMP_COUNTER_RETRIES = 7,
  TMPDUMP_COUNTER_HEDGES = 8,
  TMPDUMP_COUNTER_COUNT = 16,
};

// progress.needed_count: the list did not fit, or cannot be known; wait for all entries.
#define TMPDUMP_NEEDS_EVERYTHING UINT32_MAX

// Times are CLOCK_MONOTONIC in ns, 0 when it did not happen. After a restore from a snapshot that clock
// jumps: differences across a restore mean nothing.
struct tmpdump_manifest_header {
  char magic[8];
  uint16_t major;
  uint16_t minor;
  uint32_t header_size;
  uint64_t generation; // 1 for the first daemon at this destination
  uint32_t state;      // futex word
  uint32_t changed;    // futex word; grows by one with every change that a reader may see
  uint64_t started_ns;
  uint64_t listed_ns;
  uint64_t finished_ns;     // ready or failed
  uint64_t first_wait_ns;   // a client first waited for everything; written by clients
  uint64_t created_unix_ns; // CLOCK_REALTIME
  uint32_t pid;             // in the daemon's PID namespace; for people
  uint32_t failure_code;    // tmpdump::Errc
  uint32_t reason_size;
  uint32_t etag_size;
  uint32_t uri_size;
  uint32_t reserved0;
  uint64_t counters[TMPDUMP_COUNTER_COUNT];
  // The listing: valid when entries_offset is not 0, which the reader learns after it has read `state`.
  uint64_t file_size;
  uint32_t entry_count;
  uint32_t slot_count; // power of two, larger than entry_count
  uint64_t entries_offset;
  uint64_t progress_offset;
  uint64_t slots_offset;
  uint64_t needed_offset;
  uint64_t strings_offset;
  uint64_t strings_size;
  uint32_t needed_capacity; // in elements
  uint32_t reserved1;
  uint64_t listing_hash; // tmpdump_manifest_listing_hash()
  uint8_t reserved2[208];
  char reason[1024]; // one printable line
  char etag[512];
  char uri[2048]; // without query and user info
};

// Never changes once listed.
struct tmpdump_manifest_entry {
  uint64_t size;
  uint32_t crc32;
  uint32_t kind;
  uint32_t path_offset; // in the string table; a NUL follows the path
  uint32_t path_size;   // without the NUL
  uint32_t mode;
  uint32_t reserved;
};

// One cache line, so that waiters on one entry do not slow the publisher of the next.
struct tmpdump_manifest_progress {
  uint32_t state;        // futex word; everything below up to first_wait_ns is written before it
  uint32_t needed_check; // tmpdump_manifest_needed_check()
  uint32_t needed_first; // index into the list of needed entries
  uint32_t needed_count; // or TMPDUMP_NEEDS_EVERYTHING
  uint64_t published_ns;
  uint64_t first_wait_ns; // a client first asked for it; written by clients that may
  int64_t
      file_mtime_ns; // of the published file: with size and inode, tells a later generation that it may stay
  uint64_t file_inode;
  uint8_t reserved[16];
};

// Open addressing, linear probing from (hash & (slot_count - 1)).
struct tmpdump_manifest_slot {
  uint32_t tag;   // upper half of the path's hash
  uint32_t entry; // index + 1; 0: empty, ends the probing
};

#define TMPDUMP_AT(type, field, offset) static_assert(offsetof(struct type, field) == (offset), #field)
TMPDUMP_AT(tmpdump_manifest_header, magic, 0);
TMPDUMP_AT(tmpdump_manifest_header, major, 8);
TMPDUMP_AT(tmpdump_manifest_header, minor, 10);
TMPDUMP_AT(tmpdump_manifest_header, header_size, 12);
TMPDUMP_AT(tmpdump_manifest_header, generation, 16);
TMPDUMP_AT(tmpdump_manifest_header, state, 24);
TMPDUMP_AT(tmpdump_manifest_header, changed, 28);
TMPDUMP_AT(tmpdump_manifest_header, started_ns, 32);
TMPDUMP_AT(tmpdump_manifest_header, listed_ns, 40);
TMPDUMP_AT(tmpdump_manifest_header, finished_ns, 48);
TMPDUMP_AT(tmpdump_manifest_header, first_wait_ns, 56);
TMPDUMP_AT(tmpdump_manifest_header, created_unix_ns, 64);
TMPDUMP_AT(tmpdump_manifest_header, pid, 72);
TMPDUMP_AT(tmpdump_manifest_header, failure_code, 76);
TMPDUMP_AT(tmpdump_manifest_header, reason_size, 80);
TMPDUMP_AT(tmpdump_manifest_header, etag_size, 84);
TMPDUMP_AT(tmpdump_manifest_header, uri_size, 88);
TMPDUMP_AT(tmpdump_manifest_header, reserved0, 92);
TMPDUMP_AT(tmpdump_manifest_header, counters, 96);
TMPDUMP_AT(tmpdump_manifest_header, file_size, 224);
TMPDUMP_AT(tmpdump_manifest_header, entry_count, 232);
TMPDUMP_AT(tmpdump_manifest_header, slot_count, 236);
TMPDUMP_AT(tmpdump_manifest_header, entries_offset, 240);
TMPDUMP_AT(tmpdump_manifest_header, progress_offset, 248);
TMPDUMP_AT(tmpdump_manifest_header, slots_offset, 256);
TMPDUMP_AT(tmpdump_manifest_header, needed_offset, 264);
TMPDUMP_AT(tmpdump_manifest_header, strings_offset, 272);
TMPDUMP_AT(tmpdump_manifest_header, strings_size, 280);
TMPDUMP_AT(tmpdump_manifest_header, needed_capacity, 288);
TMPDUMP_AT(tmpdump_manifest_header, reserved1, 292);
TMPDUMP_AT(tmpdump_manifest_header, listing_hash, 296);
TMPDUMP_AT(tmpdump_manifest_header, reserved2, 304);
TMPDUMP_AT(tmpdump_manifest_header, reason, 512);
TMPDUMP_AT(tmpdump_manifest_header, etag, 1536);
TMPDUMP_AT(tmpdump_manifest_header, uri, 2048);
static_assert(sizeof(struct tmpdump_manifest_header) == TMPDUMP_MANIFEST_HEADER_SIZE, "header");
TMPDUMP_AT(tmpdump_manifest_entry, size, 0);
TMPDUMP_AT(tmpdump_manifest_entry, crc32, 8);
TMPDUMP_AT(tmpdump_manifest_entry, kind, 12);
TMPDUMP_AT(tmpdump_manifest_entry, path_offset, 16);
TMPDUMP_AT(tmpdump_manifest_entry, path_size, 20);
TMPDUMP_AT(tmpdump_manifest_entry, mode, 24);
TMPDUMP_AT(tmpdump_manifest_entry, reserved, 28);
static_assert(sizeof(struct tmpdump_manifest_entry) == 32, "entry");
TMPDUMP_AT(tmpdump_manifest_progress, state, 0);
TMPDUMP_AT(tmpdump_manifest_progress, needed_check, 4);
TMPDUMP_AT(tmpdump_manifest_progress, needed_first, 8);
TMPDUMP_AT(tmpdump_manifest_progress, needed_count, 12);
TMPDUMP_AT(tmpdump_manifest_progress, published_ns, 16);
TMPDUMP_AT(tmpdump_manifest_progress, first_wait_ns, 24);
TMPDUMP_AT(tmpdump_manifest_progress, file_mtime_ns, 32);
TMPDUMP_AT(tmpdump_manifest_progress, file_inode, 40);
TMPDUMP_AT(tmpdump_manifest_progress, reserved, 48);
static_assert(sizeof(struct tmpdump_manifest_progress) == 64, "progress");
TMPDUMP_AT(tmpdump_manifest_slot, tag, 0);
TMPDUMP_AT(tmpdump_manifest_slot, entry, 4);
static_assert(sizeof(struct tmpdump_manifest_slot) == 8, "slot");
#undef TMPDUMP_AT

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the file is little-endian and mapped as it is");
static_assert(sizeof(void*) == 8, "64-bit atomics on mapped words");

#endif
