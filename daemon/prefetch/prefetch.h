// SPDX-License-Identifier: Apache-2.0
// The pipeline: the one place that sees every stage, from the first request to the last rename.
#pragma once

#include "base/cpu.h"
#include "base/error.h"
#include "base/trace.h"
#include "fetch/transfer.h"
#include "output/destination.h"
#include "s3/object_source.h"
#include "zip/directory.h"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace tmpdump::prefetch {

using Clock = std::chrono::steady_clock;

// What the pipeline tells while it runs, and asks. Called from the network thread, but `published` from
// decoder threads; must not block. A failure ends the run with it. Unset members are skipped.
struct Observer {
  // The directory is known; `wanted` is sorted by place in the archive. Returns what to fetch of it: all of
  // it, or less where a predecessor's files are still good. A run that starts over (the object changed) calls
  // it again.
  std::function<result<std::vector<const zip::Entry*>>(const fetch::ObjectInfo&, const zip::Directory&,
                                                       std::vector<const zip::Entry*> wanted)>
      directory;
  // The entry is whole and at its place.
  std::function<result<void>(const zip::Entry&)> published;
  // So many more bytes of the archive have arrived.
  std::function<void(std::uint64_t)> received;
};

// Readable from any thread while the pipeline runs.
struct Progress {
  std::atomic<std::uint64_t> received{0}; // bytes of the archive delivered to the decoders
  std::atomic<std::uint64_t> expected{0}; // bytes of the archive that are wanted; 0: not known yet
  std::atomic<std::uint64_t> files_done{0};
  std::atomic<std::uint64_t> files_wanted{0};
};

struct Settings {
  std::optional<unsigned> connections;   // none: chosen from the archive's size
  unsigned decoders = 0;                 // threads; 0: one a core that we may run on
  std::optional<std::uint64_t> max_size; // bytes unpacked; none: free space at the destination
  std::uint64_t max_entries = 200'000;
  // Of libraries that are there for several processors the best one for this level is taken
  // (zip/variants.h); none: the archive is taken as it is.
  std::optional<CpuLevel> cpu;
  // Which entries are wanted; unset: all.
  std::function<bool(const zip::Entry&)> wanted;
  // Ask for the archive's front before its directory is known. Not when a filter, or files kept from before,
  // make it likely that the front is not needed.
  bool speculate = true;
  fetch::RetryPolicy retry;
  fetch::HedgePolicy hedge;
  std::uint64_t range_size = 8U << 20U;
  // Bytes of buffers between network and decoders, and of what those keep of segments that are not whole yet;
  // peak memory is about 8 MiB more, and of a packed archive a window of 8 MiB a decoder.
  std::size_t window = 20U << 20U;
};

struct Summary {
  std::string etag;
  std::uint64_t archive_size = 0; // bytes
  std::uint64_t received = 0;     // bytes, duplicates included
  std::uint64_t unpacked = 0;     // bytes written
  std::uint64_t files = 0, directories = 0, symlinks = 0;
  std::uint64_t requests = 0, connections = 0, retries = 0, hedges = 0;
  std::uint64_t restarts = 0; // because the object changed
  // Zero: did not happen.
  Clock::time_point started, connected, first_byte, directory_known, first_file, ready;
};

// Everything of `source` into `destination`. On failure what was published stays, whole; nothing else does.
// Cancelling the coroutine stops all within one read.
boost::asio::awaitable<result<Summary>> prefetch(boost::asio::io_context& context, s3::ObjectSource& source,
                                                 const output::Destination& destination,
                                                 const Settings& settings, const Observer& observer,
                                                 Progress& progress, Trace* trace);

// The tail and, when it does not reach back far enough, the rest of the central directory; nothing else. For
// --list.
boost::asio::awaitable<result<zip::Directory>> list(boost::asio::io_context& context,
                                                    s3::ObjectSource& source, const Settings& settings);

// Cores that this process may run on (its affinity mask), at least 1.
unsigned available_cores();

} // namespace tmpdump::prefetch
