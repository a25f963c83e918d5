// SPDX-License-Identifier: Apache-2.0
// Writes zip archives (APPNOTE 6.3.10) whose entries may carry an index of segments (proto/packed.md). Debian
// 12's libzip can neither take data that are compressed already nor give the central directory alone an extra
// field.
#pragma once

#include "pack/output_file.h"
#include "zip/directory.h"

#include <cstdint>
#include <string>
#include <vector>

namespace tmpdump::pack {

// How an entry's data are cut. No sizes: not at all.
struct Segments {
  std::uint32_t segment_bytes = 0;         // uncompressed bytes of each but the last
  std::vector<std::uint32_t> packed_sizes; // of each, in order
};

// One archive, entry after entry: begin(), data() as often as needed, end(). Nothing of it depends on the
// time, the machine or the user. After a failure the archive is of no use.
class ZipWriter {
public:
  // `out` must outlive the writer and be empty.
  explicit ZipWriter(OutputFile& out) : out_(out) {}

  // `path` as in zip::Entry, without a slash at the end; `size`: uncompressed bytes. Fails for a path that a
  // reader would refuse, with Errc::usage.
  result<void> begin(const std::string& path, zip::Kind kind, mode_t mode, zip::Method method,
                     std::uint64_t size);
  result<void> data(Bytes compressed);
  result<void> end(std::uint32_t crc, const Segments& segments);
  // Drops the data of the entry that was begun last, which then is to be stored.
  result<void> store_instead();

  // The central directory and the end records; nothing can follow.
  result<void> finish();

private:
  struct Record { // what the central directory says of an entry
    std::string name;
    std::uint32_t attributes = 0;
    zip::Method method = zip::Method::stored;
    std::uint32_t crc = 0;
    std::uint64_t compressed_size = 0, size = 0, offset = 0;
    bool wide = false; // with zip64 sizes in the local header
    Segments segments;
  };
  result<void> append_local_header(const Record& record);
  [[nodiscard]] std::string local_header(const Record& record) const;
  [[nodiscard]] static std::string central_header(const Record& record);

  OutputFile& out_;
  std::vector<Record> records_;
  std::uint64_t data_begin_ = 0;
};

// End of central directory for `count` entries whose directory lies at [offset, offset + size), zip64 records
// before it when one of the numbers needs them.
std::string end_records(std::uint64_t count, std::uint64_t offset, std::uint64_t size,
                        std::string_view comment);

} // namespace tmpdump::pack
