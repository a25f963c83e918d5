// SPDX-License-Identifier: Apache-2.0
// End records, central directory, choice of variants, planning: everything up to the first ranged GET that
// an archive causes. The input is the file's end, or all of it.
#include "zip/directory.h"

#include "fetch/range_plan.h"
#include "fuzz.h"
#include "prefetch/entry_parts.h"
#include "zip/variants.h"

#include <set>
#include <span>
#include <variant>
#include <vector>

using namespace tmpdump;
using namespace tmpdump::fuzz;

namespace {

// Limits small enough that hostile numbers are met below them and above.
constexpr zip::Limits limits{.max_entries = 10'000, .max_directory_size = 1U << 20U, .max_size = 1ULL << 40U};

void check_path(std::string_view path) {
  require(!path.empty() && path.size() <= 4096, "a path has 1 to 4096 bytes");
  require(path.find('\0') == path.npos, "a path has no NUL");
  bool first = true;
  while (true) {
    const std::size_t slash = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, slash);
    require(!part.empty() && part != "." && part != ".." && part.size() <= 255, "a path's parts are names");
    require(!first || part != ".tmpdump", "our own folder is not an archive's");
    first = false;
    if (slash == path.size()) return;
    path.remove_prefix(slash + 1);
  }
}

void check_tree(std::span<const zip::Entry> entries) {
  std::set<std::string> all, files;
  for (const auto& entry : entries) {
    check_path(entry.path);
    require(all.insert(entry.path).second, "a path occurs once");
    if (entry.kind != zip::Kind::directory) files.insert(entry.path);
  }
  for (const auto& entry : entries) {
    for (std::size_t at = entry.path.find('/'); at != std::string::npos; at = entry.path.find('/', at + 1))
      require(!files.contains(entry.path.substr(0, at)), "nothing lies below a file or a link");
  }
}

void check_regions(std::span<const zip::Entry> entries, std::uint64_t end) {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> regions;
  for (const auto& entry : entries) {
    require(entry.local_header_offset + 30 + entry.raw_name.size() + entry.compressed_size <=
                entry.region_end,
            "an entry fits into its region");
    regions.emplace_back(entry.local_header_offset, entry.region_end);
  }
  std::sort(regions.begin(), regions.end());
  for (std::size_t i = 0; i < regions.size(); ++i) {
    const std::uint64_t limit = i + 1 < regions.size() ? regions[i + 1].first : end;
    require(regions[i].second <= limit, "regions do not overlap");
  }
}

void check_parts(const zip::Entry& entry) {
  const auto parts = prefetch::parts_of(entry);
  require(!parts.empty() && parts.front().first && parts.back().last, "parts have a beginning and an end");
  require(parts.front().begin == entry.local_header_offset && parts.back().end == entry.region_end,
          "parts cover the region");
  std::uint64_t offset = 0, compressed = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    require(parts[i].index == i && parts[i].offset == offset && parts[i].begin < parts[i].end,
            "parts follow each other");
    require(i == 0 || parts[i].begin == parts[i - 1].end, "parts touch");
    require(prefetch::decode_cost(entry, parts[i]) > 0, "decoding costs something");
    offset += parts[i].size;
    compressed += parts[i].compressed;
  }
  require(offset == entry.size && compressed == entry.compressed_size, "parts add up");
}

void check_plan(std::span<const zip::Entry> entries, std::uint64_t file_size) {
  if (file_size > 1U << 24U) return;
  std::vector<fetch::Region> wanted;
  for (const auto& entry : entries) {
    for (const auto& part : prefetch::parts_of(entry))
      wanted.push_back({part.begin, part.end, prefetch::decode_cost(entry, part)});
  }
  // Ranges of the order of the input, so that there are several.
  const fetch::PlanOptions options{.range_size = 64, .max_gap = 16};
  const std::vector<fetch::Slice> had{{0, std::min<std::uint64_t>(40, file_size)},
                                      {file_size / 2, file_size / 8}};
  const auto plan = fetch::plan_ranges(wanted, had, options);
  std::vector<bool> there(file_size);
  const auto mark = [&](const fetch::Slice& slice) {
    require(slice.offset + slice.length <= file_size, "a range lies in the file");
    std::fill_n(there.begin() + static_cast<std::ptrdiff_t>(slice.offset), slice.length, true);
  };
  for (const auto& slice : had)
    mark(slice);
  for (const auto& slice : plan) {
    require(slice.length > 0, "a range is not empty");
    mark(slice);
  }
  for (const auto& region : wanted) {
    for (std::uint64_t at = region.begin; at < region.end; ++at)
      require(there[at], "what is wanted is asked for");
  }
}

void parse(Bytes bytes, const zip::DirectoryLocation& location, std::uint64_t file_size) {
  const auto directory = zip::parse_directory(bytes, location, file_size, limits);
  if (!directory) return require_message(directory.error());
  require(directory->entries.size() <= location.entry_count, "not more entries than counted");
  std::uint64_t size = 0;
  for (const auto& entry : directory->entries) {
    require((entry.mode & ~mode_t{0777}) == 0, "no setuid, setgid, sticky");
    if (entry.kind == zip::Kind::file) size += entry.size;
    check_parts(entry);
  }
  require(size == directory->size && size <= limits.max_size, "the sum is right, and allowed");
  check_tree(directory->entries);
  check_regions(directory->entries, location.offset);
  check_plan(directory->entries, file_size);
  for (const CpuLevel level : {CpuLevel::baseline, CpuLevel::v2, CpuLevel::v3, CpuLevel::v4}) {
    const auto chosen = zip::choose_variants(*directory, level);
    if (!chosen) {
      require_message(chosen.error());
      continue;
    }
    check_tree(chosen->entries);
  }
}

} // namespace

FUZZ_TARGET(directory) {
  Chance chance(input.peek());
  Bytes file = input.rest();
  if (file.size() >= 4 && load_le32(file, 0) == 0x02014b50) { // a directory alone, far behind
    zip::DirectoryLocation location;
    const std::uint64_t far = std::uint64_t{1} << (chance.number() % 64U);
    location.offset = far;
    location.size = file.size();
    location.stub_size = chance.number() % 2U == 0 ? 0 : chance.number() % 1000U;
    for (std::size_t at = 0; at + 4 <= file.size(); ++at)
      location.entry_count += load_le32(file, at) == 0x02014b50 ? 1U : 0U;
    return parse(file, location, far + file.size());
  }
  const auto found = zip::locate_directory(file, file.size());
  if (!found) return require_message(found.error());
  const auto* location = std::get_if<zip::DirectoryLocation>(&*found);
  require(location != nullptr, "of a whole file no more is asked for");
  require(location->offset <= file.size() && location->size <= file.size() - location->offset,
          "the directory lies in the file");
  const Bytes tail = file.last(std::min(file.size(), chance.size(file.size())));
  const auto again = zip::locate_directory(tail, file.size());
  require(again.has_value(), "a shorter tail asks for more, or finds the same");
  if (const auto* more = std::get_if<zip::NeedMore>(&*again)) {
    require(more->offset < file.size() - tail.size(), "what is asked for was not there");
  } else {
    require(std::get<zip::DirectoryLocation>(*again).offset == location->offset, "the answer is one");
  }
  parse(file.subspan(location->offset, location->size), *location, file.size());
}
