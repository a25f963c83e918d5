// SPDX-License-Identifier: Apache-2.0
// Which ranges to ask for, and in which order. Pure functions.
#pragma once

#include "s3/object_source.h"

#include <cstdint>
#include <span>
#include <vector>

namespace tmpdump::fetch {

using s3::Slice;

// Bytes of the archive that one entry needs, and what decoding them costs (any unit: uncompressed bytes).
struct Region {
  std::uint64_t begin = 0, end = 0;
  std::uint64_t cost = 0;
};

// What `part` of `whole` bytes costs where all cost `cost`.
std::uint64_t share(std::uint64_t cost, std::uint64_t part, std::uint64_t whole);

struct PlanOptions {
  // S3's advice is 8 to 16 MiB. Smaller: more GETs, each with its first-byte latency (25 ms, in which a
  // connection at 60 MB/s would carry 1.5 MB). Larger: fewer ranges than connections for archives under 100
  // MB, and longer tails.
  std::uint64_t range_size = 8U << 20U;
  // How many ranges are on their way at a time; 0: not known. Where it is, the range size is changed a
  // little, so that no connection is left with a range when the others have none: 6 connections of 60 MB/s,
  // 300 in all and 25 ms to each first byte, take 0.36 s for an archive of 86 MB in 9 ranges after the
  // speculative ones, and 0.42 in 7 (computed). What would be less than half a round of them is cut smaller,
  // for those that have nothing to do: an archive of 27 MB takes 0.15 s instead of 0.19.
  unsigned connections = 0;
  // An unwanted gap is downloaded when that is cheaper than another request: 25 ms at 60 MB/s.
  std::uint64_t max_gap = 1536U << 10U;
  // Chains of decoding up to this cost count as equal, so that the archive's order decides, which is that of
  // first use where it was packed so. A packed archive has no longer ones.
  std::uint64_t short_chain = 0;
};

// Ranges asked for before anything is known of the archive, beside its tail: growing, so that the first bytes
// come early and the connections do not all end at the same moment. Small, because they share the link: at
// 600 Mbit/s the first 2 MiB are there after 85 ms and the first 10 after 420; with 1, 2, 4, 8 and 8 MiB it
// would be 168 and 671. Of all such five (sizes in MiB) these are among those with the least time to ready
// for archives of 27 to 200 MB.
std::vector<Slice> speculative_front();

// The last bytes of the archive, asked for at the same time. 128 KiB hold the directory of about 1,200
// entries, and arrive in 2 ms at 60 MB/s.
inline constexpr std::uint64_t tail_length = 128U << 10U;

// Covers every byte of `wanted` (any order, may touch but not overlap) that `had` (ranges already asked for,
// any order) does not cover, with the ranges in the order in which to ask for them: the one first from which
// the longest decoding is still to be done, since an entry decodes on one core (critical path first). So
// equal entries are fed side by side, and the end of a transfer is made of small ones, which decode at once
// on all cores: after the last byte of a 315 MB library 40 MB of it may wait for their turn, 0.15 s. Within
// an entry the order is that of the file.
std::vector<Slice> plan_ranges(std::span<const Region> wanted, std::span<const Slice> had,
                               const PlanOptions& options);

// How many connections an archive of `bytes` deserves, when nobody said: one a range, those that are `open`
// already, at most 6.
// Fetching and unpacking a 121 MB archive (one library of 75 MB compressed) took, medians of 7, over a link
// of 60 MB/s a connection, 300 MB/s in all and 25 ms to the first byte: 4: 0.69 s, 6: 0.55, 8: 0.62, 10:
// 0.67; over 600 Mbit/s: 4 to 8: 1.62, 10: 1.77. Fewer do not fill the link; more bring bytes of one entry so
// far ahead of their turn that the window of buffers fills up.
unsigned choose_connections(std::uint64_t bytes, std::uint64_t range_size, std::size_t open = 0);
inline constexpr unsigned max_default_connections = 6;

} // namespace tmpdump::fetch
