// SPDX-License-Identifier: Apache-2.0
// The central directory as a whole: what an archive's entries become, and which archives are refused.
#include "support/catch.h"
#include "support/zip_builder.h"
#include "support/zip_reader.h"
#include "zip/directory.h"

#include <algorithm>

using namespace tmpdump;
using namespace tmpdump::test;
using zip::Entry;
using zip::Kind;
using zip::Method;

namespace {

const std::string text(5000, 'x');

std::string refused(const BuiltZip& zip) {
  return refusal(read_directory(zip.bytes));
}
std::string refused(const ZipBuilder& zip) {
  return refused(zip.build());
}
// One entry, its other properties as given.
Entry single(std::string_view name, std::string_view content, const ZipOptions& options) {
  return read_directory(ZipBuilder().add(name, content, options).build().bytes).value().entries.at(0);
}

} // namespace

TEST_CASE("zip: an archive as `zip -y -r` makes it") {
  const auto zip = ZipBuilder()
                       .directory("lib")
                       .add("lib/libx.so.1", text, {.mode = 0100755U})
                       .symlink("lib/libx.so", "libx.so.1")
                       .add("lib/notes.txt", "hello", {.method = 0})
                       .add("lib/packed.bin", text, {.method = 93})
                       .build();
  const auto directory = read_directory(zip.bytes).value();
  REQUIRE(directory.entries.size() == 5);
  CHECK(directory.size == 5000 + 5 + 5000);

  const Entry& folder = directory.entries[0];
  CHECK(folder.path == "lib");
  CHECK(folder.raw_name == "lib/");
  CHECK(folder.kind == Kind::directory);
  CHECK(folder.mode == 0755);

  const Entry& library = directory.entries[1];
  CHECK(library.path == "lib/libx.so.1");
  CHECK(library.kind == Kind::file);
  CHECK(library.method == Method::deflate);
  CHECK(library.mode == 0755);
  CHECK(library.size == 5000);
  CHECK(library.compressed_size == zip.data(1).size());
  CHECK(library.crc == crc32_of(text));
  CHECK(library.local_header_offset == zip.entries[1].local_header);
  CHECK(library.region_end == zip.entries[2].local_header);

  CHECK(directory.entries[2].kind == Kind::symlink);
  CHECK(directory.entries[3].method == Method::stored);
  CHECK(directory.entries[3].mode == 0644);
  CHECK(directory.entries[4].method == Method::zstd);
  CHECK(directory.entries[4].region_end == zip.directory);

  const auto contents = unpack(zip.bytes).value();
  CHECK(contents.at("lib/libx.so.1") == text);
  CHECK(contents.at("lib/libx.so") == "libx.so.1");
  CHECK(contents.at("lib/packed.bin") == text);
}

TEST_CASE("zip: an empty archive has no entries") {
  CHECK(read_directory(ZipBuilder().build().bytes).value().entries.empty());
  CHECK(read_directory(ZipBuilder().zip64_end().build().bytes).value().entries.empty());
}

TEST_CASE("zip: zip64 fields are used where the header's are saturated") {
  const auto zip = ZipBuilder().add("a", text, {.zip64 = true}).add("b", "b", {.zip64 = true}).build();
  const auto directory = read_directory(zip.bytes).value();
  CHECK(directory.entries[0].size == 5000);
  CHECK(directory.entries[0].compressed_size == zip.data(0).size());
  CHECK(directory.entries[1].local_header_offset == zip.entries[1].local_header);
  CHECK(unpack(zip.bytes).value().at("a") == text);

  SECTION("only the saturated ones: the offset alone") {
    std::string offset(8, '\0');
    auto mixed = ZipBuilder().add("a", text, {.central_extra = extra_item(1, offset)}).build();
    mixed.set_central_offset(0, 0xFFFFFFFF);
    CHECK(read_directory(mixed.bytes).value().entries[0].local_header_offset == 0);
  }
  SECTION("not looked at when nothing is saturated") {
    const auto idle = ZipBuilder().add("a", text, {.central_extra = extra_item(1, std::string(8, '\xEE'))});
    CHECK(unpack(idle.build().bytes).value().at("a") == text);
  }
  SECTION("missing") {
    for (auto saturate : {&BuiltZip::set_central_size, &BuiltZip::set_central_compressed_size,
                          &BuiltZip::set_central_offset}) {
      auto none = ZipBuilder().add("a", text).build();
      CHECK(refused((none.*saturate)(0, 0xFFFFFFFF)) == "entry \"a\": a zip64 value is missing");
      auto cut = ZipBuilder().add("a", text, {.central_extra = extra_item(1, "1234567")}).build();
      CHECK(refused((cut.*saturate)(0, 0xFFFFFFFF)) == "entry \"a\": a zip64 value is missing");
    }
  }
  SECTION("twice") {
    CHECK(refused(ZipBuilder().add("a", text, {.zip64 = true, .central_extra = extra_item(1, "12345678")})) ==
          "entry \"a\": the same extra field occurs twice");
  }
}

TEST_CASE("zip: entries beyond 4 GiB, of which only the directory is at hand") {
  // 6 GiB of file, its directory at the end; the sizes are the zip64 field's first two values.
  const auto zip = ZipBuilder().add("a", "a", {.method = 0, .zip64 = true}).build();
  std::string bytes = zip.directory_bytes();
  BuiltZip big{bytes, {}, 0, 0, {}, {}, 0, 0};
  const std::uint64_t values = 46 + 1 + 4;
  const std::uint64_t size = 5ULL << 30U;
  big.poke64(values, size).poke64(values + 8, size).poke64(values + 16, 1ULL << 30U);
  const zip::DirectoryLocation location{(6ULL << 30U) + 100, big.bytes.size(), 1, 0};
  const std::uint64_t file_size = location.offset + location.size + 98;
  const auto directory = zip::parse_directory(bytes_of(big.bytes), location, file_size, {}).value();
  CHECK(directory.entries[0].size == size);
  CHECK(directory.entries[0].local_header_offset == 1ULL << 30U);
  CHECK(directory.entries[0].region_end == location.offset);

  SECTION("offsets and sizes whose sum wraps around") {
    for (const std::uint64_t at : {values + 8, values + 16}) {
      BuiltZip wrapped = big;
      wrapped.poke64(values, ~0ULL).poke64(values + 8, ~0ULL).poke64(at, ~0ULL);
      CHECK(refusal(zip::parse_directory(bytes_of(wrapped.bytes), location, file_size, {})) ==
            "entry \"a\": its offset or size lies outside the archive");
    }
    zip::DirectoryLocation with_stub = location;
    with_stub.stub_size = 100;
    BuiltZip wrapped = big;
    wrapped.poke64(values + 16, ~0ULL);
    CHECK(refusal(zip::parse_directory(bytes_of(wrapped.bytes), with_stub, file_size, {})) ==
          "entry \"a\": its offset lies outside the archive");
  }
}

TEST_CASE("zip: modes and kinds from external attributes") {
  SECTION("Unix and macOS: permissions without setuid, setgid, sticky") {
    for (const std::uint8_t host : {std::uint8_t{3}, std::uint8_t{19}}) {
      CHECK(single("a", "a", {.made_by = host, .mode = 0107751U}).mode == 0751);
      CHECK(single("a/", "", {.method = 0, .made_by = host, .mode = 0041777U}).mode == 0777);
      CHECK(single("a", "b", {.made_by = host, .mode = 0120777U}).kind == Kind::symlink);
      CHECK(single("a", "a", {.made_by = host, .mode = 0U}).mode == 0644);
      CHECK(single("a", "a", {.made_by = host, .mode = 0100000U}).mode == 0); // meant so
      CHECK(single("a/", "", {.method = 0, .made_by = host, .mode = 0U}).mode == 0755);
      CHECK(single("a", "a", {.made_by = host, .mode = 0600U}).mode == 0600); // Python's writestr: no type
    }
  }
  SECTION("other hosts have no mode, whatever the upper half says") {
    for (const std::uint8_t host : {std::uint8_t{0}, std::uint8_t{10}, std::uint8_t{11}}) {
      const Entry file = single("a", "a", {.made_by = host, .mode = 0120777U});
      CHECK(file.kind == Kind::file);
      CHECK(file.mode == 0644);
      CHECK(single("a/", "", {.method = 0, .made_by = host}).mode == 0755);
      CHECK(single("a/", "", {.method = 0, .made_by = host, .dos_attributes = 0x10}).kind == Kind::directory);
      CHECK(refused(ZipBuilder().add("a", "", {.method = 0, .made_by = host, .dos_attributes = 8})) ==
            "entry \"a\": it is a volume label, not a file");
    }
    // Only of DOS itself does a reader believe them against the name.
    CHECK(refused(ZipBuilder().add("a", "", {.method = 0, .made_by = 0, .dos_attributes = 0x10})) ==
          "entry \"a\": its name is a file's, its attributes a directory's");
    CHECK(single("a", "a", {.made_by = 10, .dos_attributes = 0x10}).kind == Kind::file);
    CHECK(single("a", "a", {.made_by = 3, .mode = 0100644U, .dos_attributes = 0x18}).kind == Kind::file);
  }
  SECTION("devices, FIFOs, sockets") {
    for (const std::uint32_t type : {0010000U, 0020000U, 0060000U, 0140000U, 0170000U}) {
      CHECK(refused(ZipBuilder().add("a", "", {.method = 0, .mode = type | 0644U})) ==
            "entry \"a\": it is a device, FIFO, or socket; only files, directories and symbolic links are");
    }
  }
  SECTION("name and mode contradict each other") {
    CHECK(refused(ZipBuilder().add("a", "", {.method = 0, .mode = 0040755U})) ==
          "entry \"a\": its name is a file's, its mode a directory's");
    CHECK(refused(ZipBuilder().add("a", "b", {.mode = 0040755U})) ==
          "entry \"a\": its name is a file's, its mode a directory's");
    // All readers go by the slash; permissions meant for a file are none for a directory.
    CHECK(single("a/", "", {.method = 0, .mode = 0100644U}).kind == Kind::directory);
    CHECK(single("a/", "", {.method = 0, .mode = 0100644U}).mode == 0755);
    CHECK(refused(ZipBuilder().add("a/", "b", {.method = 0, .mode = 0120777U})) ==
          "entry \"a/\": its name is a directory's, its mode a symbolic link's");
  }
  SECTION("directories have no data, but Java compresses it") {
    CHECK(single("a/", "", {.method = 8}).kind == Kind::directory);
    CHECK(refused(ZipBuilder().add("a/", "b")) == "entry \"a/\": a directory with data");
    CHECK(refused(ZipBuilder().add("a/", "b", {.mode = 0100644U})) == "entry \"a/\": a directory with data");
  }
  SECTION("a symbolic link's target has a length that the kernel takes") {
    CHECK(single("a", std::string(4095, 'x'), {.mode = 0120777U}).kind == Kind::symlink);
    for (const std::size_t size : {std::size_t{0}, std::size_t{4096}}) {
      CHECK(refused(ZipBuilder().add("a", std::string(size, 'x'), {.method = 0, .mode = 0120777U})) ==
            "entry \"a\": a symbolic link's target must have 1 to 4095 bytes");
    }
  }
}

TEST_CASE("zip: what we cannot read is named") {
  const auto with_flags = [](unsigned flags) {
    return refused(ZipBuilder().add("a", text, {.flags = static_cast<std::uint16_t>(flags)}));
  };
  for (const unsigned bit : {0U, 6U, 13U}) {
    CHECK(with_flags(1U << bit) == "entry \"a\": it is encrypted; encryption is not supported");
  }
  CHECK(with_flags(1U << 5U) == "entry \"a\": it is compressed patch data, not a file");
  CHECK(with_flags(3U << 1U) == "accepted"); // compression effort
  const auto needing = [](std::uint16_t version) {
    auto zip = ZipBuilder().add("a", text).build();
    return refused(zip.poke16(zip.directory + 6, version));
  };
  for (const std::uint16_t known : std::initializer_list<std::uint16_t>{0, 10, 20, 45, 51, 63}) {
    CHECK(needing(known) == "accepted");
    CHECK(needing(static_cast<std::uint16_t>(0x300U + known)) == "accepted"); // the host above it (4.4.3.1)
  }
  CHECK(needing(64) == "entry \"a\": it needs version 6.4 of the format to extract; known is 6.3");
  CHECK(needing(0xFFFF) == "entry \"a\": it needs version 25.5 of the format to extract; known is 6.3");
  for (const auto method : std::initializer_list<std::uint16_t>{1, 9, 12, 14, 20, 95, 99}) {
    CHECK(refused(ZipBuilder().add("a", text, {.method = method})) ==
          "entry \"a\": unknown compression method " + std::to_string(method) +
              "; known are 0 (stored), 8 (deflate), 93 (zstd)");
  }
  CHECK(refused(ZipBuilder().add("a", "a").build().set_central_disk(0, 1)) ==
        "entry \"a\": it lies on another disk of a multi-disk archive");
  CHECK(refused(ZipBuilder().add("a", "a").build().set_central_disk(0, 0xFFFF)) ==
        "entry \"a\": a zip64 value is missing");
}

TEST_CASE("zip: sizes that lie") {
  const auto stored = ZipBuilder().add("a", text, {.method = 0}).build();
  CHECK(refused(BuiltZip(stored).set_central_size(0, 4999)) ==
        "entry \"a\": stored, but its two sizes differ");
  CHECK(refused(BuiltZip(stored).set_central_compressed_size(0, 4999)) ==
        "entry \"a\": stored, but its two sizes differ");

  const auto deflated = ZipBuilder().add("a", text).build();
  CHECK(refused(BuiltZip(deflated).set_central_compressed_size(0, 0)) ==
        "entry \"a\": compressed, but there is no compressed data");
  CHECK(refused(BuiltZip(deflated).set_central_size(0, 0)) == "entry \"a\": no data, but the CRC of some");
  CHECK(refused(BuiltZip(deflated).set_central_size(0, 0xFFFFFFFE)) ==
        "entry \"a\": its data cannot expand to the size that it claims");
  const auto zstd = ZipBuilder().add("a", text, {.method = 93}).build();
  CHECK(refused(BuiltZip(zstd).set_central_size(0, 0xFFFFFFFE)) ==
        "entry \"a\": its data cannot expand to the size that it claims");

  // The best that the compressors can do is believed.
  const std::string zeros(8'000'000, '\0');
  for (const auto method : std::initializer_list<std::uint16_t>{8, 93}) {
    CHECK(refused(ZipBuilder().add("a", zeros, {.method = method, .level = 9})) == "accepted");
  }
}

TEST_CASE("zip: regions end where the next thing begins, or as early as they must") {
  const std::string padding(100'000, 'p');
  const auto zip = ZipBuilder()
                       .add("a", "a", {.method = 0, .descriptor = Descriptor::signed32})
                       .add("b", "b", {.method = 0})
                       .before_directory(padding)
                       .build();
  const auto entries = read_directory(zip.bytes).value().entries;
  CHECK(entries[0].region_end == zip.entries[1].local_header);
  CHECK(entries[1].region_end == zip.entries[1].local_header + 30 + 1 + 65535 + 1 + 24);
  CHECK(entries[1].region_end < zip.directory);

  SECTION("in whatever order the directory lists them") {
    auto swapped = ZipBuilder().add("a", "1", {.method = 0}).add("b", "2", {.method = 0}).build();
    const auto first = static_cast<std::uint32_t>(swapped.entries[0].local_header);
    const auto second = static_cast<std::uint32_t>(swapped.entries[1].local_header);
    swapped.set_central_offset(0, second).set_central_offset(1, first);
    const auto both = read_directory(swapped.bytes).value().entries;
    CHECK(both[0].region_end == swapped.directory);
    CHECK(both[1].region_end == second);
  }
}

TEST_CASE("zip: entries that overlap") {
  auto zip = ZipBuilder().add("a", text, {.method = 0}).add("b", text, {.method = 0}).build();
  const auto second = static_cast<std::uint32_t>(zip.entries[1].local_header);
  SECTION("the same data twice") {
    const std::string why = refused(zip.set_central_offset(1, 0));
    CHECK((why == "entry \"a\": it overlaps entry \"b\"" || why == "entry \"b\": it overlaps entry \"a\""));
  }
  SECTION("one within the other") {
    CHECK(refused(zip.set_central_offset(1, 100)) == "entry \"a\": it overlaps entry \"b\"");
  }
  SECTION("by one byte") {
    CHECK(refused(BuiltZip(zip).set_central_offset(1, second - 1)) == "entry \"a\": it overlaps entry \"b\"");
    // The gap of one byte is where an extra field could be.
    CHECK(refused(BuiltZip(zip).set_central_offset(0, 1)) == "entry \"a\": it overlaps entry \"b\"");
  }
  SECTION("no room for the data descriptor") {
    CHECK(refused(zip.set_central_flags(0, 8)) == "entry \"a\": it overlaps entry \"b\"");
  }
  SECTION("into the directory") {
    CHECK(refused(BuiltZip(zip).set_central_offset(1, second + 1)) ==
          "entry \"b\": its data would reach into the central directory");
    CHECK(refused(BuiltZip(zip).set_central_offset(1, 0xFFFFFFFE)) ==
          "entry \"b\": its data would reach into the central directory");
  }
}

TEST_CASE("zip: the directory must hold as many entries as the end record counts") {
  const auto zip = ZipBuilder().add("a", text).add("b", text).add("c", text).build();
  CHECK(refused(BuiltZip(zip).set_entry_count(2)) ==
        "the central directory holds more than the entries that its end record counts");
  CHECK(refused(BuiltZip(zip).set_entry_count(0)) ==
        "the central directory holds more than the entries that its end record counts");
  // 143 bytes have room for a fourth entry without a name, but there is none.
  const auto roomy = ZipBuilder().add("a", text, {.comment = std::string(100, 'c')}).build();
  CHECK(refused(BuiltZip(roomy).set_entry_count(2)) ==
        "the central directory ends before its last entry, or is damaged");
  CHECK(refused(BuiltZip(zip).set_entry_count(4)) ==
        "the end record counts more entries than the central directory can hold");

  CHECK(refused(ZipBuilder().add("a", text).digital_signature("signed")) == "accepted");
  CHECK(refused(ZipBuilder().digital_signature("signed")) == "accepted");
}

TEST_CASE("zip: lengths within a central header that lead out of the directory") {
  const auto zip = ZipBuilder().add("a", text, {.comment = "note"}).build();
  for (const unsigned field : {28U, 30U, 32U}) {
    CHECK(refused(BuiltZip(zip).poke16(zip.directory + field, 0xFFFF)) ==
          "the central directory is cut off within an entry");
  }
  CHECK(refused(ZipBuilder().add("a", text, {.central_extra = std::string("\x01\x02\x05\x00tiny", 8)})) ==
        "entry \"a\": an extra field is longer than the room for it");
  CHECK(refused(ZipBuilder().add("a", text, {.central_extra = std::string(3, '\0')})) == "accepted");
}

TEST_CASE("zip: limits hold before anything grows") {
  const auto zip = ZipBuilder().add("a", text).add("b", text).symlink("l", "a").build();
  CHECK(refusal(read_directory(zip.bytes, {.max_entries = 3})) == "accepted");
  CHECK(refusal(read_directory(zip.bytes, {.max_entries = 2})) ==
        "the archive has 3 entries, more than the 2 that are allowed");
  CHECK(refusal(read_directory(zip.bytes, {.max_directory_size = 100})) ==
        "the central directory has " + std::to_string(zip.directory_size) +
            " bytes, more than the 100 that are allowed");
  CHECK(refusal(read_directory(zip.bytes, {.max_size = 10000})) == "accepted");
  const auto too_big = read_directory(zip.bytes, {.max_size = 9999});
  REQUIRE(too_big.has_error());
  CHECK(too_big.error().code == Errc::no_space);
  CHECK(too_big.error().message ==
        "entry \"b\": with it the archive unpacks to more than the allowed 9999 bytes");

  const zip::DirectoryLocation lie{0, 22, ~0ULL, 0};
  CHECK(refusal(zip::parse_directory(bytes_of(std::string_view(zip.bytes).substr(0, 22)), lie, 22,
                                     {.max_entries = ~0ULL})) ==
        "the end record counts more entries than the central directory can hold");
}

TEST_CASE("zip: ten thousand entries in one folder, a hundred below each other") {
  ZipBuilder builder;
  for (int i = 0; i < 10'000; ++i)
    builder.add("lib/python3/site-packages/package/module" + std::to_string(i) + ".so", "x", {.method = 0});
  std::string deep = "d";
  for (int i = 0; i < 100; ++i, deep += "/d")
    builder.directory(deep);
  const auto zip = builder.build();
  CHECK(read_directory(zip.bytes).value().entries.size() == 10'100);
}
