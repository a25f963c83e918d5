// SPDX-License-Identifier: Apache-2.0
// A manifest for looking at: status, tables, and what a new daemon wants to know of its predecessor. To wait
// for files use the client library.
#pragma once

#include "base/error.h"
#include "manifest/files.h"
#include "manifest/listing.h"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tmpdump::manifest {

struct EntryStatus {
  ListedEntry listed;
  tmpdump_manifest_entry_state state = TMPDUMP_ENTRY_PENDING;
  // CLOCK_MONOTONIC; 0: did not happen
  std::uint64_t published_ns = 0;
  std::uint64_t first_wait_ns = 0;
  // Of the published file; see inspect().
  std::int64_t mtime_ns = 0;
  std::uint64_t inode = 0;
  std::vector<std::uint32_t> needed; // direct; indices of entries
  bool needs_everything = false;
};

struct Status {
  tmpdump_manifest_state state = TMPDUMP_STATE_STARTING;
  bool alive = false; // the daemon holds its lock; it may end once the state is ready or failed
  std::uint64_t generation = 0;
  std::uint64_t started_ns = 0, listed_ns = 0, finished_ns = 0, first_wait_ns = 0;
  std::uint64_t created_unix_ns = 0;
  std::uint32_t pid = 0;
  std::optional<Failure> failure;
  std::string etag, uri;
  std::uint64_t counters[TMPDUMP_COUNTER_COUNT] = {}; // by tmpdump_manifest_counter
};

// One thread at a time. Sees a living manifest: values may be newer at each call.
class Reader {
public:
  // No daemon ever worked there: Errc::not_found; damaged: Errc::io; not ours: Errc::denied.
  static result<Reader> open(const std::string& destination, const char* name = TMPDUMP_MANIFEST_NAME);

  [[nodiscard]] Status status() const;
  [[nodiscard]] std::uint32_t entry_count() const { return manifest_.view.entry_count; }
  // Damaged: Errc::io.
  [[nodiscard]] result<EntryStatus> entry(std::uint32_t index) const;
  [[nodiscard]] std::optional<std::uint32_t> find(std::string_view path) const;

  // Follows: remember changed(), look, then sleep until it differs (or `limit` passes). When stale() then
  // says so, the listing has come or a new generation has: open again.
  [[nodiscard]] std::uint32_t changed() const;
  void wait_changed(std::uint32_t seen, std::chrono::milliseconds limit) const;
  [[nodiscard]] bool stale() const;

private:
  UniqueFd directory_;
  MappedManifest manifest_;
};

// The last generation that had a listing, for a daemon that begins: its ETag and entries, of which those that
// are published need no download if they are unchanged. nullopt: none, or damaged. A failure: there may be
// one.
struct Previous {
  Status status;
  std::vector<EntryStatus> entries;
};
result<std::optional<Previous>> read_previous(const std::string& destination);

} // namespace tmpdump::manifest
