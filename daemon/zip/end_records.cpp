// SPDX-License-Identifier: Apache-2.0
// Finding the central directory from the file's end.
#include "zip/directory.h"
#include "zip/records.h"

#include <algorithm>
#include <optional>
#include <vector>

namespace tmpdump::zip {
namespace {

// What the end records say, zip64 already taken into account.
struct EndRecords {
  std::uint64_t position = 0; // absolute; of the first end record: the directory ends here
  std::uint64_t entries = 0;
  std::uint64_t directory_size = 0;
  std::uint64_t directory_offset = 0; // as stored: relative to the archive proper
};

class Tail {
public:
  Tail(Bytes bytes, std::uint64_t file_size) : bytes_(bytes), start_(file_size - bytes.size()) {}

  [[nodiscard]] Bytes bytes() const { return bytes_; }
  [[nodiscard]] std::uint64_t absolute(std::size_t at) const { return start_ + at; }
  [[nodiscard]] bool has_signature(std::size_t at, std::uint32_t signature) const {
    return at <= bytes_.size() && bytes_.size() - at >= 4 && load_le32(bytes_, at) == signature;
  }
  // False also when the place is not in the tail: such a place is checked when the directory is parsed.
  [[nodiscard]] bool lacks_signature(std::uint64_t position, std::uint32_t signature) const {
    return position >= start_ && !has_signature(static_cast<std::size_t>(position - start_), signature);
  }

private:
  Bytes bytes_;
  std::uint64_t start_;
};

Failure multi_disk() {
  return bad_archive("the archive is one part of a multi-disk archive; join the parts first");
}

// The zip64 records that stand right before the end record at `at`, if any. An extensible data sector (4.3.14
// version 2) serves only central directory encryption, which nobody here can read, and is refused.
result<std::optional<EndRecords>> zip64_records(const Tail& tail, std::size_t at) {
  if (at < locator64::fixed_size || !tail.has_signature(at - locator64::fixed_size, locator64::signature)) {
    return std::optional<EndRecords>();
  }
  const std::size_t locator_at = at - locator64::fixed_size;
  const Bytes locator = tail.bytes().subspan(locator_at, locator64::fixed_size);
  if (load_le32(locator, locator64::disk) != 0 || load_le32(locator, locator64::disks) > 1) {
    return multi_disk();
  }
  if (locator_at < end64::fixed_size ||
      !tail.has_signature(locator_at - end64::fixed_size, end64::signature)) {
    return bad_archive("no zip64 end record before its locator: the archive is damaged, or it uses the "
                       "extensible data sector, which is not supported");
  }
  const std::size_t record_at = locator_at - end64::fixed_size;
  const Bytes record = tail.bytes().subspan(record_at, end64::fixed_size);
  // "The value stored into the size of zip64 end of central directory record SHOULD be the size of the
  // remaining record and SHOULD NOT include the leading 12 bytes" (4.3.14.1).
  if (load_le64(record, end64::remaining_size) != end64::fixed_size - 12) {
    return bad_archive("the zip64 end record's size contradicts its place");
  }
  if (load_le32(record, end64::disk) != 0 || load_le32(record, end64::directory_disk) != 0 ||
      load_le64(record, end64::entries_on_disk) != load_le64(record, end64::entries)) {
    return multi_disk();
  }
  EndRecords found;
  found.position = tail.absolute(record_at);
  found.entries = load_le64(record, end64::entries);
  found.directory_size = load_le64(record, end64::directory_size);
  found.directory_offset = load_le64(record, end64::directory_offset);

  // Both are relative to the archive proper, so they shift together when a stub stands before it.
  std::uint64_t directory_end = 0;
  if (!checked_add(found.directory_offset, found.directory_size, directory_end) ||
      directory_end != load_le64(locator, locator64::end64_offset)) {
    return bad_archive("the zip64 locator and the zip64 end record contradict each other");
  }
  return std::optional(found);
}

// A field of the end record must be saturated or repeat the zip64 record's value.
bool agrees(std::uint64_t field, std::uint64_t saturated, std::uint64_t zip64_value) {
  return field == saturated || field == zip64_value;
}

result<EndRecords> read_records(const Tail& tail, std::size_t at) {
  const Bytes record = tail.bytes().subspan(at, end::fixed_size);
  const std::uint16_t disk = load_le16(record, end::disk);
  const std::uint16_t directory_disk = load_le16(record, end::directory_disk);
  const std::uint16_t entries = load_le16(record, end::entries);
  const std::uint32_t directory_size = load_le32(record, end::directory_size);
  const std::uint32_t directory_offset = load_le32(record, end::directory_offset);

  TMPDUMP_TRY(const auto zip64, zip64_records(tail, at));
  if (!agrees(disk, zip64 ? saturated16 : 0, 0) || !agrees(directory_disk, zip64 ? saturated16 : 0, 0) ||
      load_le16(record, end::entries_on_disk) != entries) {
    return multi_disk();
  }
  if (zip64) {
    if (!agrees(entries, saturated16, zip64->entries) ||
        !agrees(directory_size, saturated32, zip64->directory_size) ||
        !agrees(directory_offset, saturated32, zip64->directory_offset)) {
      return bad_archive("the end record and the zip64 end record contradict each other");
    }
    return *zip64;
  }
  // 65535 entries are possible without zip64 (writers switch at 65536 or before); such offsets and sizes are
  // not.
  if (directory_size == saturated32 || directory_offset == saturated32) {
    return bad_archive("the end record points to a zip64 end record that is not there");
  }
  return EndRecords{tail.absolute(at), entries, directory_size, directory_offset};
}

result<DirectoryLocation> directory_before(const Tail& tail, std::size_t at) {
  TMPDUMP_TRY(const EndRecords records, read_records(tail, at));
  // The directory ends where the end records begin. Whatever the stored offset misses is a stub in front
  // (self-extractor) whose size the offsets do not include.
  std::uint64_t stored_end = 0;
  if (!checked_add(records.directory_offset, records.directory_size, stored_end) ||
      stored_end > records.position) {
    return bad_archive("the central directory does not fit into the file: it is cut off or damaged");
  }
  DirectoryLocation location;
  location.offset = records.position - records.directory_size;
  location.size = records.directory_size;
  location.entry_count = records.entries;
  location.stub_size = records.position - stored_end;
  if (location.entry_count > location.size / central::fixed_size) {
    return bad_archive("the end record counts more entries than the central directory can hold");
  }
  if (location.entry_count != 0 && tail.lacks_signature(location.offset, central::signature)) {
    return bad_archive("no central directory where the end record says");
  }
  return location;
}

// Where the signature of an end record stands that a comment of 65535 bytes can follow or be in, ascending.
std::vector<std::size_t> find_signatures(const Tail& tail) {
  std::vector<std::size_t> found;
  const Bytes bytes = tail.bytes();
  const std::size_t reach = end::fixed_size + saturated16;
  for (std::size_t at = bytes.size() > reach ? bytes.size() - reach : 0; at + 4 <= bytes.size(); ++at) {
    if (bytes[at] == std::byte{'P'} && tail.has_signature(at, end::signature)) found.push_back(at);
  }
  return found;
}

// A comment may hold anything, also whole end records: only a record whose own comment ends with the file
// counts.
bool ends_the_file(const Tail& tail, std::size_t at) {
  const std::size_t size = tail.bytes().size();
  return size - at >= end::fixed_size &&
         load_le16(tail.bytes(), at + end::comment_length) == size - at - end::fixed_size;
}

// Whether an archive that holds something ends before the one that begins at `begin`. An empty one is no more
// than a signature and zeros, as programs that read zips have in them, and so stubs.
bool is_archive_before(const Tail& tail, std::size_t at, std::uint64_t begin) {
  if (tail.absolute(at) >= begin || begin - tail.absolute(at) < end::fixed_size) return false;
  const auto other = directory_before(tail, at);
  return other.has_value() && other->entry_count != 0;
}

// The archive whose end record is at `at` must be the one that all readers find.
result<void> check_other_signatures(const Tail& tail, const std::vector<std::size_t>& signatures,
                                    std::size_t at, std::uint64_t stub_size) {
  // Searching from the end many take the last signature, whatever comes of it.
  if (signatures.back() != at) {
    return bad_archive("the archive's comment holds the signature of an end record: readers disagree about "
                       "which one counts");
  }
  // libzip prefers an archive whose offsets count from the file's beginning.
  for (const std::size_t other : signatures) {
    if (is_archive_before(tail, other, stub_size)) {
      return bad_archive("the file holds two archives, one behind the other: readers disagree about which "
                         "one counts");
    }
  }
  return {};
}

} // namespace

result<std::variant<DirectoryLocation, NeedMore>> locate_directory(Bytes tail, std::uint64_t file_size) {
  using Found = std::variant<DirectoryLocation, NeedMore>;
  if (tail.size() > file_size) return bad_archive("more bytes than the file has");
  const std::uint64_t wanted = std::min<std::uint64_t>(file_size, max_end_records_size);
  // Everything that may hold an end record is looked at always, so that the answer does not depend on how
  // much happened to be fetched.
  if (tail.size() < wanted) return Found(NeedMore{file_size - wanted});
  if (tail.size() < end::fixed_size) return bad_archive("not a zip file: it is too short");

  const Tail view(tail.last(static_cast<std::size_t>(wanted)), file_size);
  const auto signatures = find_signatures(view);
  std::optional<DirectoryLocation> found;
  std::optional<Failure> why_not;
  std::size_t found_at = 0;
  for (const std::size_t at : signatures) {
    if (!ends_the_file(view, at)) continue;
    auto location = directory_before(view, at);
    if (location.has_error()) {
      if (!why_not) why_not = std::move(location).error();
    } else if (found) {
      return bad_archive("the file can be read as two different archives (one in the other's comment)");
    } else {
      found = *location;
      found_at = at;
    }
  }
  if (found) {
    TMPDUMP_CHECK(check_other_signatures(view, signatures, found_at, found->stub_size));
    return Found(*found);
  }
  if (why_not) return *why_not;
  const bool seen_any = !signatures.empty() && signatures.front() + end::fixed_size <= view.bytes().size();
  return bad_archive(seen_any ? "the end of central directory record's comment does not end with the file: "
                                "the file is cut off, or something was appended"
                              : "not a zip file, or cut off: no end of central directory record");
}

} // namespace tmpdump::zip
