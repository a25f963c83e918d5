// SPDX-License-Identifier: Apache-2.0
#include "fetch/range_plan.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace tmpdump::fetch {

namespace {

constexpr std::uint64_t mib = 1U << 20U;

// Cuts fall on this boundary of the interval, so that reads stay whole pages.
constexpr std::uint64_t cut_alignment = 64U << 10U;

struct Interval {
  std::uint64_t begin = 0, end = 0;
};

std::vector<Interval> sorted_union(std::vector<Interval> intervals, std::uint64_t max_gap) {
  std::erase_if(intervals, [](const Interval& i) { return i.begin >= i.end; });
  std::sort(intervals.begin(), intervals.end(),
            [](const auto& a, const auto& b) { return a.begin < b.begin; });
  std::vector<Interval> out;
  for (const auto& interval : intervals) {
    if (!out.empty() && (interval.begin <= out.back().end || interval.begin - out.back().end <= max_gap)) {
      out.back().end = std::max(out.back().end, interval.end);
    } else {
      out.push_back(interval);
    }
  }
  return out;
}

// Both sorted and disjoint.
std::vector<Interval> subtract(const std::vector<Interval>& from, const std::vector<Interval>& what) {
  std::vector<Interval> out;
  std::size_t w = 0;
  for (Interval rest : from) {
    while (w < what.size() && what[w].end <= rest.begin)
      ++w;
    for (std::size_t i = w; i < what.size() && what[i].begin < rest.end; ++i) {
      if (what[i].begin > rest.begin) out.push_back({rest.begin, what[i].begin});
      rest.begin = std::max(rest.begin, what[i].end);
      if (rest.begin >= rest.end) break;
    }
    if (rest.begin < rest.end) out.push_back(rest);
  }
  return out;
}

// Even pieces: 17 MiB become 3 ranges of about 5.7, not 8 + 8 + 1.
void cut(const Interval& interval, std::uint64_t range_size, std::vector<Slice>& out) {
  const std::uint64_t length = interval.end - interval.begin;
  const std::uint64_t pieces = (length + range_size - 1) / range_size;
  std::uint64_t size = (length + pieces - 1) / pieces;
  size = std::min((size + cut_alignment - 1) / cut_alignment * cut_alignment,
                  std::max(range_size, cut_alignment));
  for (std::uint64_t at = interval.begin; at < interval.end; at += size) {
    out.push_back({at, std::min(size, interval.end - at)});
  }
}

// Of little a connection takes at least so much, unless ranges are to be smaller: its first byte takes as
// long as 1.5 MB.
constexpr std::uint64_t least_share = 2 * mib;

// The range size, at most 1.25 times smaller or larger, with which the connections end at about the same
// time: the first ranges are over at different times, so half a round more or less is as good as a whole one.
// Of less than half a round each connection that has nothing to do takes a share.
std::uint64_t balanced(std::uint64_t bytes, std::uint64_t range_size, unsigned connections) {
  if (connections == 0 || range_size == 0) return range_size;
  const double ranges = static_cast<double>(bytes) / static_cast<double>(range_size);
  const unsigned unit = (connections + 1) / 2;
  if (ranges < unit) {
    const std::uint64_t least = std::min(least_share, range_size);
    const auto shares = std::clamp<std::uint64_t>(bytes / least, 1, unit);
    return std::min(range_size, (bytes + shares - 1) / shares);
  }
  const double whole = std::round(ranges / unit) * unit;
  if (whole < ranges / 1.25 || whole > ranges * 1.25) return range_size;
  return static_cast<std::uint64_t>(std::ceil(static_cast<double>(bytes) / whole));
}

// An entry this large begins a range of its own, so that it can be begun before what lies in front of it.
std::vector<Interval> split_at_large(const std::vector<Interval>& intervals,
                                     const std::vector<Region>& regions, std::uint64_t large) {
  std::vector<Interval> out;
  auto region = regions.begin();
  for (Interval rest : intervals) {
    for (; region != regions.end() && region->begin < rest.end; ++region) {
      if (region->end - region->begin < large || region->begin <= rest.begin) continue;
      out.push_back({rest.begin, region->begin});
      rest.begin = region->begin;
    }
    out.push_back(rest);
  }
  return out;
}

struct Job {
  std::uint64_t chain = 0; // cost from this range's start to the end of the longest entry that it feeds
  bool continued = false;  // an entry goes on in the next range
  bool begun = false;
};

// `slices` in file order, `regions` sorted.
std::vector<Job> weigh(const std::vector<Slice>& slices, const std::vector<Region>& regions) {
  std::vector<Job> jobs(slices.size());
  std::size_t first = 0;
  for (std::size_t i = 0; i < slices.size(); ++i) {
    const std::uint64_t begin = slices[i].offset;
    const std::uint64_t end = begin + slices[i].length;
    while (first < regions.size() && regions[first].end <= begin)
      ++first;
    for (std::size_t r = first; r < regions.size() && regions[r].begin < end; ++r) {
      const auto& region = regions[r];
      const std::uint64_t length = region.end - region.begin;
      const std::uint64_t from = std::max(begin, region.begin);
      jobs[i].chain = std::max(jobs[i].chain, share(region.cost, region.end - from, length));
      // Only the last region of the range can: regions do not overlap.
      jobs[i].continued = i + 1 < slices.size() && slices[i + 1].offset < region.end;
    }
  }
  return jobs;
}

// So many entries (or segments of a packed one) at most are on their way at a time: each has a decoder,
// zstd's with a window of 8 MiB. Without it all segments of a large file, whose first halves have the longest
// chains, would be begun before any is ended: 1 GB of memory for a file of 1 GB.
constexpr unsigned max_open = 4;

// Critical path first: always the range from whose start the longest chain of decoding is still to be done.
std::vector<Slice> order(const std::vector<Slice>& slices, const std::vector<Region>& regions,
                         std::uint64_t short_chain) {
  auto jobs = weigh(slices, regions);
  for (Job& job : jobs)
    job.chain = job.chain > short_chain ? job.chain : 0;
  std::vector<Slice> out;
  out.reserve(slices.size());
  unsigned open = 0; // entries that are begun and go on in a range that is not
  while (out.size() < slices.size()) {
    auto pick = jobs.size();
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      const bool continues = i > 0 && jobs[i - 1].continued;
      // A range that continues an entry comes after the one before it.
      const bool waits = continues ? !jobs[i - 1].begun : open >= max_open && jobs[i].continued;
      if (!jobs[i].begun && !waits && (pick == jobs.size() || jobs[i].chain > jobs[pick].chain)) pick = i;
    }
    jobs[pick].begun = true;
    if (pick > 0 && jobs[pick - 1].continued) --open;
    if (jobs[pick].continued) ++open;
    out.push_back(slices[pick]);
  }
  return out;
}

} // namespace

std::uint64_t share(std::uint64_t cost, std::uint64_t part, std::uint64_t whole) {
  return static_cast<std::uint64_t>(static_cast<double>(cost) * static_cast<double>(part) /
                                    static_cast<double>(std::max<std::uint64_t>(whole, 1)));
}

std::vector<Slice> speculative_front() {
  return {{0, mib}, {mib, mib}, {2 * mib, 4 * mib}, {6 * mib, 5 * mib}, {11 * mib, 6 * mib}};
}

std::vector<Slice> plan_ranges(std::span<const Region> wanted, std::span<const Slice> had,
                               const PlanOptions& options) {
  std::vector<Region> regions(wanted.begin(), wanted.end());
  std::sort(regions.begin(), regions.end(), [](const auto& a, const auto& b) { return a.begin < b.begin; });
  std::vector<Interval> need;
  need.reserve(regions.size());
  for (const auto& region : regions)
    need.push_back({region.begin, region.end});
  std::vector<Interval> covered;
  covered.reserve(had.size());
  for (const auto& slice : had)
    covered.push_back({slice.offset, slice.offset + slice.length});

  const auto missing = subtract(sorted_union(std::move(need), 0), sorted_union(std::move(covered), 0));
  std::uint64_t bytes = 0;
  for (const auto& interval : missing)
    bytes += interval.end - interval.begin;
  const std::uint64_t range_size = balanced(bytes, options.range_size, options.connections);
  std::vector<Slice> slices;
  for (const auto& interval :
       split_at_large(sorted_union(missing, options.max_gap), regions, options.range_size)) {
    cut(interval, range_size, slices);
  }
  return order(slices, regions, options.short_chain);
}

unsigned choose_connections(std::uint64_t bytes, std::uint64_t range_size, std::size_t open) {
  const std::uint64_t ranges = (bytes + range_size - 1) / range_size;
  return static_cast<unsigned>(
      std::clamp<std::uint64_t>(std::max<std::uint64_t>(ranges, open), 1, max_default_connections));
}

} // namespace tmpdump::fetch
