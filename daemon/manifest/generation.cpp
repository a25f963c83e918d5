// SPDX-License-Identifier: Apache-2.0
#include "manifest/generation.h"

#include "manifest/words.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tmpdump::manifest {

namespace {

// The manifest at the name gets a second name if it has a listing, so that a daemon that is killed before it
// knows its own does not lose sight of what is on disk.
result<void> save_previous(int own) {
  const auto manifest = map_manifest(own, TMPDUMP_MANIFEST_NAME, false);
  if (!manifest.has_value() && !manifest.error().lasting) return manifest.error();
  if (!manifest.has_value() || manifest->view.entry_count == 0) return {};
  static constexpr char staged[] = TMPDUMP_MANIFEST_PREVIOUS ".new";
  ::unlinkat(own, staged, 0);
  if (::linkat(own, TMPDUMP_MANIFEST_NAME, own, staged, 0) != 0 ||
      ::renameat(own, staged, own, TMPDUMP_MANIFEST_PREVIOUS) != 0) {
    return system_failure("keep the previous manifest", errno);
  }
  // Still there when both names were the same file already: rename does nothing then.
  ::unlinkat(own, staged, 0);
  return {};
}

} // namespace

result<Generation> begin_generation(const Directories& directories, std::uint64_t number,
                                    std::string_view uri, const tmpdump_manifest_header* run) {
  const int own = directories.own.get();
  static constexpr char staged[] = TMPDUMP_MANIFEST_NAME ".new";
  ::unlinkat(own, staged, 0);
  UniqueFd next = open_at(own, staged, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0644);
  if (!next) return system_failure("create the manifest", errno);
  // Whatever the umask.
  if (::fchmod(next.get(), 0644) != 0) return system_failure("set the manifest's mode", errno);
  TMPDUMP_CHECK(allocate(next.get(), TMPDUMP_MANIFEST_HEADER_SIZE));
  TMPDUMP_TRY(Mapping next_header, Mapping::map(next.get(), TMPDUMP_MANIFEST_HEADER_SIZE, true));
  auto& fresh = *static_cast<tmpdump_manifest_header*>(next_header.base());
  std::copy_n(TMPDUMP_MANIFEST_MAGIC, sizeof fresh.magic, fresh.magic);
  fresh.major = TMPDUMP_MANIFEST_MAJOR;
  fresh.minor = TMPDUMP_MANIFEST_MINOR;
  fresh.header_size = TMPDUMP_MANIFEST_HEADER_SIZE;
  fresh.generation = number;
  fresh.state = TMPDUMP_STATE_STARTING;
  fresh.started_ns = clock_ns(CLOCK_MONOTONIC);
  fresh.created_unix_ns = clock_ns(CLOCK_REALTIME);
  fresh.pid = static_cast<std::uint32_t>(::getpid());
  fresh.uri_size = set_text(fresh.uri, sizeof fresh.uri, uri);
  if (run != nullptr) { // a restart: the same run, by the clock and by the traffic
    fresh.started_ns = run->started_ns;
    for (const auto counter : {TMPDUMP_COUNTER_BYTES_RECEIVED, TMPDUMP_COUNTER_REQUESTS,
                               TMPDUMP_COUNTER_RETRIES, TMPDUMP_COUNTER_HEDGES}) {
      fresh.counters[counter] = tmpdump_peek64(&run->counters[counter]);
    }
  }

  auto old = map_manifest(own, TMPDUMP_MANIFEST_NAME, true); // before its name goes to the new one
  TMPDUMP_CHECK(save_previous(own));
  if (::renameat(own, staged, own, TMPDUMP_MANIFEST_NAME) != 0) {
    return system_failure("put the manifest in place", errno);
  }
  // After the rename: who is told to look again must find the new one.
  if (old.has_value()) end_generation(old->view, TMPDUMP_STATE_SUPERSEDED, TMPDUMP_ENTRY_SUPERSEDED);

  return Generation{std::move(next), std::move(next_header)};
}

result<void> allocate(int fd, std::uint64_t size) {
  int error = EINTR;
  while (error == EINTR)
    error = ::posix_fallocate(fd, 0, static_cast<off_t>(size));
  if (error != 0) return system_failure("make room for the manifest", error);
  return {};
}

void end_generation(const tmpdump_view& view, tmpdump_manifest_state state,
                    tmpdump_manifest_entry_state entry_state) {
  release(view.header->state, state);
  futex_wake_all(&view.header->state);
  for (std::uint32_t i = 0; i < view.entry_count; ++i) {
    std::uint32_t& word = view.progress[i].state;
    if (release_from(word, TMPDUMP_ENTRY_PENDING, entry_state)) futex_wake_all(&word);
  }
  announce_change(*view.header);
}

} // namespace tmpdump::manifest
