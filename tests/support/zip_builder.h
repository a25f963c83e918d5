// SPDX-License-Identifier: Apache-2.0
// Makes zip files in memory, good ones and, by poking at the finished bytes, bad ones. Knows where every
// record is. The layout is written down here a second time on purpose: from the APPNOTE, not from daemon/zip.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tmpdump::test {

enum class Descriptor { none, signed32, plain32, signed64, plain64 }; // APPNOTE 4.3.9

struct ZipOptions {
  std::uint16_t method = 8; // 0, 8 and 93 are really applied; others: the content is taken as it is
  int level = 6;
  std::uint16_t flags = 0; // added to what the other options imply
  std::uint8_t made_by = 3;
  std::optional<std::uint32_t> mode = {}; // whole st_mode; otherwise a file's 0100644 or a directory's 040755
  std::uint32_t dos_attributes = 0;       // low half of the external attributes
  bool zip64 = false;                     // sizes and offset stand in zip64 extra fields
  Descriptor descriptor = Descriptor::none;
  bool sizes_in_local_header = false; // with a descriptor: not zero all the same
  std::string local_extra = {};
  std::string central_extra = {};
  std::string comment = {};
  std::uint32_t segment_bytes =
      0; // packed (proto/packed.md): cut into segments of so many bytes; method 8 or 93
  // What the index says instead of the truth. Called with the true one's bytes.
  std::function<void(std::string& index)> lie = {};
};

// Absolute places in the file.
struct ZipPlaces {
  std::uint64_t local_header = 0;
  std::uint64_t data = 0; // = end of the local header
  std::uint64_t data_end = 0;
  std::uint64_t region_end = 0; // after the descriptor
  std::uint64_t central_header = 0;
};

struct BuiltZip {
  std::string bytes;
  std::vector<ZipPlaces> entries;
  std::uint64_t directory = 0;
  std::uint64_t directory_size = 0;
  std::optional<std::uint64_t> end64;     // zip64 end record
  std::optional<std::uint64_t> locator64; // its locator
  std::uint64_t end = 0;                  // end record
  std::uint64_t stub_size = 0;            // as far as the offsets do not include it

  // Little-endian, in place; returns itself so that faults chain.
  BuiltZip& poke8(std::uint64_t at, std::uint8_t value);
  BuiltZip& poke16(std::uint64_t at, std::uint16_t value);
  BuiltZip& poke32(std::uint64_t at, std::uint32_t value);
  BuiltZip& poke64(std::uint64_t at, std::uint64_t value);

  // Faults. `entry` counts from 0 in the order of adding.
  BuiltZip& set_central_flags(std::size_t entry, std::uint16_t value);
  BuiltZip& set_central_method(std::size_t entry, std::uint16_t value);
  BuiltZip& set_central_crc(std::size_t entry, std::uint32_t value);
  BuiltZip& set_central_compressed_size(std::size_t entry, std::uint32_t value);
  BuiltZip& set_central_size(std::size_t entry, std::uint32_t value);
  BuiltZip& set_central_disk(std::size_t entry, std::uint16_t value);
  BuiltZip& set_central_offset(std::size_t entry, std::uint32_t value);
  BuiltZip& set_local_flags(std::size_t entry, std::uint16_t value);
  BuiltZip& set_local_method(std::size_t entry, std::uint16_t value);
  BuiltZip& set_local_crc(std::size_t entry, std::uint32_t value);
  BuiltZip& set_local_compressed_size(std::size_t entry, std::uint32_t value);
  BuiltZip& set_local_size(std::size_t entry, std::uint32_t value);
  BuiltZip& set_entry_count(std::uint16_t value); // both counts of the end record
  BuiltZip& set_directory_size(std::uint32_t value);
  BuiltZip& set_directory_offset(std::uint32_t value);
  BuiltZip& corrupt_data(std::size_t entry, std::size_t offset = 0); // flips a bit

  [[nodiscard]] std::string local_header(std::size_t entry) const; // the whole header's bytes
  [[nodiscard]] std::string data(std::size_t entry) const;         // as stored
  [[nodiscard]] std::string after_data(std::size_t entry) const;   // up to the region's end
  [[nodiscard]] std::string directory_bytes() const;
};

class ZipBuilder {
public:
  // A name that ends in '/' makes a directory.
  ZipBuilder& add(std::string_view name, std::string_view content, const ZipOptions& options = {});
  // Packed by the caller: the compressed bytes of each segment.
  ZipBuilder& add_packed(std::string_view name, std::string_view content,
                         const std::vector<std::string>& segments, const ZipOptions& options);
  ZipBuilder& directory(std::string_view name, std::uint32_t permissions = 0755);
  ZipBuilder& symlink(std::string_view name, std::string_view target);

  ZipBuilder& comment(std::string_view text); // the archive's
  // Bytes in front. Adjusted: offsets count from the file's start; otherwise from the stub's end.
  ZipBuilder& stub(std::string_view bytes, bool adjusted);
  ZipBuilder& zip64_end(bool write = true);             // write zip64 end records, saturate the old one
  ZipBuilder& before_directory(std::string_view bytes); // e.g. an archive extra data record, padding
  ZipBuilder& digital_signature(std::string_view data); // 4.3.13

  [[nodiscard]] BuiltZip build() const;

private:
  struct Item {
    std::string name;
    std::string data; // compressed
    std::uint64_t size = 0;
    std::uint32_t crc = 0;
    ZipOptions options;
    std::vector<std::size_t> segments; // compressed bytes of each; empty: not packed
  };
  std::vector<Item> items_;
  std::string comment_;
  std::string stub_;
  bool adjusted_ = false;
  bool zip64_end_ = false;
  std::string before_directory_;
  std::string digital_signature_;

  static void put_local_header(std::string& out, const Item& item);
  static void put_descriptor(std::string& out, const Item& item);
  static void put_central_header(std::string& out, const Item& item, std::uint64_t offset);
};

// Extra field item (4.5.1).
std::string extra_item(std::uint16_t id, std::string_view data);
// Info-ZIP Unicode Path (4.6.9) of `name` for a header whose name is `raw`.
std::string unicode_path_extra(std::string_view raw, std::string_view name);

std::string deflate_raw(std::string_view content, int level = 6);
// One segment of a longer stream: ends with an empty stored block unless it is the last.
std::string deflate_segment(std::string_view content, int level, bool last);
std::string zstd_frame(std::string_view content, int level = 3);
std::uint32_t crc32_of(std::string_view content);

} // namespace tmpdump::test
