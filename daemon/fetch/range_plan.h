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

struct PlanOptions {
  // S3's advice is 8 to 16 MiB. Smaller: more GETs, each with its first-byte latency (25 ms, in which a
  // connection at 60 MB/s would carry 1.5 MB). Larger: fewer ranges than connections for archives under 100
  // MB, and longer tails.
  std::uint64_t range_size = 8U << 20U;
  // An unwanted gap is downloaded when that is cheaper than another request: 25 ms at 60 MB/s.
  std::uint64_t max_gap = 1536U << 10U;
  // Decoder threads: that many entries are fed side by side.
  unsigned lanes = 2;
};

// Ranges asked for before anything is known of the archive, beside its tail: growing, so that the first bytes
// come early and the connections do not all end at the same moment.
std::vector<Slice> speculative_front();

// The last bytes of the archive, asked for at the same time. 128 KiB hold the directory of about 1,200
// entries, and arrive in 2 ms at 60 MB/s.
inline constexpr std::uint64_t tail_length = 128U << 10U;

// Covers every byte of `wanted` (any order, may touch but not overlap) that `had` (ranges already asked for,
// any order) does not cover, with the ranges in the order in which to ask for them. Within an entry the order
// is that of the file; across entries the one that finishes soonest on `lanes` decoders: the longest chain of
// work first (LPT), a lane at a time.
std::vector<Slice> plan_ranges(std::span<const Region> wanted, std::span<const Slice> had,
                               const PlanOptions& options);

// How many connections an archive of `bytes` deserves, when nobody said: one a range, at most 10.
// AWS's own client takes at least 10; at 60 MB/s a connection they fill the 300 MB/s burst of a Lambda twice.
unsigned choose_connections(std::uint64_t bytes, std::uint64_t range_size);
inline constexpr unsigned max_default_connections = 10;

} // namespace tmpdump::fetch
