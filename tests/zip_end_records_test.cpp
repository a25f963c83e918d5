// SPDX-License-Identifier: Apache-2.0
// Finding the central directory from the end of the file.
#include "support/catch.h"
#include "support/zip_builder.h"
#include "support/zip_reader.h"
#include "zip/directory.h"

#include <variant>

using namespace tmpdump;
using namespace tmpdump::test;

namespace {

const std::string not_a_zip = "not a zip file, or cut off: no end of central directory record";
const std::string not_at_end = "the end of central directory record's comment does not end with the file: "
                               "the file is cut off, or something was appended";
const std::string multi_disk = "the archive is one part of a multi-disk archive; join the parts first";

ZipBuilder two_files() {
  return ZipBuilder().add("a", "first").add("b", "second");
}

std::string refused(const BuiltZip& zip) {
  return refusal(locate(zip.bytes));
}

void check_found(const BuiltZip& zip) {
  const auto found = locate(zip.bytes);
  REQUIRE(refusal(found) == "accepted");
  CHECK(found->offset == zip.directory);
  CHECK(found->size == zip.directory_size);
  CHECK(found->entry_count == zip.entries.size());
  CHECK(found->stub_size == zip.stub_size);
  CHECK(unpack(zip.bytes).value() == Contents{{"a", "first"}, {"b", "second"}});
}

} // namespace

TEST_CASE("end records: plain, with comments, zip64, behind a stub") {
  const std::string stub(1000, '#');
  for (const bool zip64 : {false, true}) {
    check_found(two_files().zip64_end(zip64).build());
    check_found(two_files().zip64_end(zip64).comment("made by hand").build());
    check_found(two_files().zip64_end(zip64).comment(std::string(65535, 'c')).build());
    check_found(two_files().zip64_end(zip64).stub(stub, true).build());
    check_found(two_files().zip64_end(zip64).stub(stub, false).build());
    check_found(two_files().zip64_end(zip64).stub(stub, false).comment("with a stub").build());
  }
}

TEST_CASE("end records: a tail that is too short is answered with what is needed, once") {
  const auto zip = two_files().stub(std::string(200'000, '#'), true).comment("c").build();
  const auto file = std::string_view(zip.bytes);
  for (const std::size_t tail :
       {std::size_t{0}, std::size_t{1}, std::size_t{22}, std::size_t{65536}, zip::max_end_records_size - 1}) {
    const auto found = zip::locate_directory(bytes_of(file.substr(file.size() - tail)), file.size()).value();
    REQUIRE(std::holds_alternative<zip::NeedMore>(found));
    CHECK(std::get<zip::NeedMore>(found).offset == file.size() - zip::max_end_records_size);
    CHECK(locate(file, tail).value().offset == zip.directory);
  }
  for (const std::size_t tail : {zip::max_end_records_size, zip::max_end_records_size + 1, file.size()}) {
    const auto found = zip::locate_directory(bytes_of(file.substr(file.size() - tail)), file.size()).value();
    CHECK(std::holds_alternative<zip::DirectoryLocation>(found));
  }
  // A small file is wanted as a whole.
  const auto small = two_files().build();
  const auto found =
      zip::locate_directory(bytes_of(std::string_view(small.bytes).substr(1)), small.bytes.size());
  CHECK(std::get<zip::NeedMore>(found.value()).offset == 0);
  // More tail than file: a contradiction of the caller's.
  CHECK(refusal(zip::locate_directory(bytes_of(small.bytes), small.bytes.size() - 1)) ==
        "more bytes than the file has");
}

TEST_CASE("end records: what is not a zip file") {
  CHECK(refusal(locate("")) == "not a zip file: it is too short");
  CHECK(refusal(locate("<html>")) == "not a zip file: it is too short");
  CHECK(refusal(locate(std::string(22, 'P'))) == not_a_zip);
  CHECK(refusal(locate(std::string(200'000, 'P'))) == not_a_zip);
  CHECK(refusal(locate(two_files().build().bytes + "x")) == not_at_end);
  CHECK(refusal(locate(two_files().build().bytes + std::string(70'000, '\0'))) == not_a_zip);
}

TEST_CASE("end records: a comment that looks like one") {
  const std::string empty_zip = ZipBuilder().build().bytes; // 22 bytes: an end record
  // Some readers take the last signature, others the record whose comment ends with the file.
  const std::string in_comment = "the archive's comment holds the signature of an end record: readers "
                                 "disagree about which one counts";
  CHECK(refused(two_files().comment(empty_zip + "more").build()) == in_comment);
  CHECK(refused(two_files().comment("PK\x05\x06").build()) == in_comment);
  CHECK(refused(two_files().comment("PK\x05\x06" + std::string(17, 'c')).build()) == in_comment);
  const BuiltZip fake = ZipBuilder().add("x", "x").build();
  CHECK(refused(two_files().comment(fake.bytes.substr(fake.end)).build()) == in_comment);

  const std::string two = "the file can be read as two different archives (one in the other's comment)";
  CHECK(refused(two_files().comment(two_files().build().bytes).build()) == two);
  CHECK(refused(two_files().comment(empty_zip).build()) == two);
}

TEST_CASE("end records: an archive in front of the archive") {
  const std::string front = two_files().build().bytes;
  const std::string behind = "the file holds two archives, one behind the other: readers disagree about "
                             "which one counts";
  CHECK(refused(two_files().stub(front, false).build()) == behind);
  CHECK(refused(two_files().zip64_end().stub(front, false).build()) == behind);
  CHECK(refused(two_files().stub(two_files().zip64_end().build().bytes + "more", false).build()) == behind);
  CHECK(refused(two_files().stub("stub" + front, false).comment("c").build()) == behind);
  // Offsets that count it in leave no doubt.
  check_found(two_files().stub(front, true).build());
  // Who knows what a stub holds: only what leads to entries is an archive.
  check_found(two_files().stub("PK\x05\x06" + std::string(100, '\0'), false).build());
  check_found(two_files().stub("PK\x05\x06 and so on", false).build());
  check_found(two_files().stub(front.substr(1), false).build());
  // Nor does an archive within an entry.
  check_found(two_files().build());
  const auto outer = ZipBuilder().add("inner.zip", front, {.method = 0});
  CHECK(refused(outer.build()) == "accepted");
  CHECK(refused(ZipBuilder(outer).stub("stub", false).build()) == "accepted");
  // Cut off behind it, the inner one must not be taken for the whole: why nothing may stand behind an end
  // record.
  const std::string whole = outer.build().bytes;
  for (std::size_t size = whole.find(front) + front.size() + 1; size < whole.size(); ++size)
    CHECK(refusal(locate(std::string_view(whole).substr(0, size))) != "accepted");
}

TEST_CASE("end records: several disks") {
  const auto zip = two_files().build();
  for (const unsigned field : {4U, 6U, 8U}) {
    CHECK(refused(BuiltZip(zip).poke16(zip.end + field, 1)) == multi_disk);
  }
  CHECK(refused(BuiltZip(zip).poke16(zip.end + 4, 0xFFFF)) == multi_disk);

  const auto zip64 = two_files().zip64_end().build();
  CHECK(refused(BuiltZip(zip64).poke16(zip64.end + 4, 0xFFFF).poke16(zip64.end + 6, 0xFFFF)) == "accepted");
  CHECK(refused(BuiltZip(zip64).poke32(*zip64.locator64 + 4, 1)) == multi_disk);
  CHECK(refused(BuiltZip(zip64).poke32(*zip64.locator64 + 16, 2)) == multi_disk);
  for (const unsigned field : {16U, 20U, 24U}) {
    CHECK(refused(BuiltZip(zip64).poke32(*zip64.end64 + field, 1)) == multi_disk);
  }
}

TEST_CASE("end records: a directory that does not fit") {
  const auto zip = two_files().build();
  const std::string no_fit = "the central directory does not fit into the file: it is cut off or damaged";
  CHECK(refused(BuiltZip(zip).set_directory_offset(static_cast<std::uint32_t>(zip.directory + 1))) == no_fit);
  CHECK(refused(BuiltZip(zip).set_directory_size(0xFFFFFFFE)) == no_fit);
  CHECK(refused(BuiltZip(zip).set_directory_size(static_cast<std::uint32_t>(zip.directory_size - 1))) ==
        "no central directory where the end record says");
  CHECK(refused(BuiltZip(zip).set_entry_count(0xFFFE)) ==
        "the end record counts more entries than the central directory can hold");
  CHECK(refused(BuiltZip(zip).set_directory_offset(0xFFFFFFFF)) ==
        "the end record points to a zip64 end record that is not there");
  // An offset that is too small looks like a stub; then no local header is where it should be.
  auto shifted = BuiltZip(zip).set_directory_offset(static_cast<std::uint32_t>(zip.directory - 1));
  CHECK(locate(shifted.bytes).value().stub_size == 1);
  CHECK(refusal(unpack(shifted.bytes)) != "accepted");

  const auto zip64 = two_files().zip64_end().build();
  CHECK(refused(BuiltZip(zip64).poke64(*zip64.end64 + 40, ~0ULL)) ==
        "the zip64 locator and the zip64 end record contradict each other");
}

TEST_CASE("end records: zip64 records that contradict each other or the end record") {
  const auto zip = two_files().zip64_end().build();
  const std::string missing =
      "no zip64 end record before its locator: the archive is damaged, or it uses the "
      "extensible data sector, which is not supported";
  CHECK(refused(BuiltZip(zip).poke32(*zip.end64, 0)) == missing);
  CHECK(refused(BuiltZip(zip).poke64(*zip.end64 + 4, 45)) ==
        "the zip64 end record's size contradicts its place");
  CHECK(refused(BuiltZip(zip).poke64(*zip.locator64 + 8, *zip.end64 + 1)) ==
        "the zip64 locator and the zip64 end record contradict each other");
  CHECK(refused(BuiltZip(zip).poke32(*zip.locator64, 0)) ==
        "the end record points to a zip64 end record that is not there");

  const std::string contradict = "the end record and the zip64 end record contradict each other";
  CHECK(refused(BuiltZip(zip).set_entry_count(2)) == "accepted"); // not saturated, but the same
  CHECK(refused(BuiltZip(zip).set_entry_count(3)) == contradict);
  CHECK(refused(BuiltZip(zip).set_directory_size(7)) == contradict);
  CHECK(refused(BuiltZip(zip).set_directory_offset(7)) == contradict);

  // A locator as the file's very first bytes.
  CHECK(refusal(locate(zip.bytes.substr(*zip.locator64))) == missing);
}

TEST_CASE("end records: 65535 entries do without zip64") {
  ZipBuilder builder;
  for (int i = 0; i < 65535; ++i)
    builder.add(std::to_string(i), "", {.method = 0});
  const auto zip = builder.build();
  CHECK(locate(zip.bytes).value().entry_count == 65535);
  CHECK(read_directory(zip.bytes).value().entries.size() == 65535);
}
