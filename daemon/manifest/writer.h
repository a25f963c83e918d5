// SPDX-License-Identifier: Apache-2.0
// The daemon's side of the manifest: says what the archive holds and, file by file, that it is there.
//
//   create (before anything else: clients that come early find "starting" instead of nothing)
//   -> set_listing (gives back what a predecessor already brought) -> publish each other entry -> ready
//   or, from anywhere, fail. The object's end without ready or fail is a death: clients stop waiting.
//
// Thread safety: publish(), wanted() and count() may be called from any thread once what they speak of exists
// (set_listing() happened before). create, set_listing, ready, fail, restart and the end belong to one
// thread; restart() wants to be alone.
#pragma once

#include "base/error.h"
#include "manifest/listing.h"
#include "manifest/reader.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tmpdump::manifest {

class Writer {
public:
  // Takes the destination's lock, puts a new generation in state "starting" at the manifest's name, and tells
  // the waiters of the old one to look there. The destination must exist. `uri` is for people:
  // config::display().
  static result<Writer> create(const std::string& destination, std::string_view uri);
  Writer(Writer&&) noexcept;
  Writer& operator=(Writer&&) noexcept;
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  ~Writer();

  // What the archive holds; once a generation. Returns, as indices into `entries`, what needs no download:
  // published by a predecessor under the same (non-empty) ETag with the same size and CRC, and on disk
  // unchanged since (size, mtime, inode). These are published already. Keeps a copy of `entries`.
  result<std::vector<std::uint32_t>> set_listing(std::string_view etag, std::vector<ListedEntry> entries);

  // Entry `index` is whole, verified and at its place: reads there what it needs (inspect()), then wakes its
  // waiters. Once an entry, by whichever thread has it. After fail() it does nothing.
  result<void> publish(std::uint32_t index);

  // All entries are published; an unpublished one is Errc::io.
  result<void> ready();
  // Wakes everybody with the reason (made printable, cut to 1 KiB). The first of ready() and fail() counts.
  void fail(const Failure& failure);

  // After ready() or fail(): gives back the listing and its mapping. What stays is the lock, by which clients
  // see that the daemon lives and other daemons that the destination is taken.
  void keep_only_the_lock();

  // The object changed under us (HTTP 412): a new generation in state "starting", for another set_listing().
  result<void> restart();

  // A client has asked for this unpublished entry: worth fetching first. A hint: clients that may only read
  // the manifest leave none.
  [[nodiscard]] bool wanted(std::uint32_t index) const;

  // TMPDUMP_COUNTER_BYTES_RECEIVED, _REQUESTS, _RETRIES, _HEDGES; the others are kept by this class.
  void count(tmpdump_manifest_counter counter, std::uint64_t more);

  [[nodiscard]] std::uint64_t generation() const;
  // What the last generation with a listing left behind.
  [[nodiscard]] const std::optional<Previous>& previous() const;
  // Would set_listing() take over anything of it under this ETag?
  [[nodiscard]] bool keeps(std::string_view etag) const;

private:
  struct State;
  explicit Writer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

} // namespace tmpdump::manifest
