// SPDX-License-Identifier: Apache-2.0
// What stands around an entry's data, and symbolic links' targets.
#include "support/catch.h"
#include "support/zip_builder.h"
#include "support/zip_reader.h"
#include "zip/directory.h"

using namespace tmpdump;
using namespace tmpdump::test;
using zip::Entry;

namespace {

const std::string text(5000, 'x');

Entry first_entry(const BuiltZip& zip) {
  return read_directory(zip.bytes).value().entries.at(0);
}

// The first entry's local header against its central one.
std::string refused(const BuiltZip& zip) {
  return refusal(zip::check_local_header(bytes_of(zip.local_header(0)), first_entry(zip)));
}

std::string differs(std::string_view what) {
  return "entry \"a\": local header: " + std::string(what) + " the central directory's";
}

} // namespace

TEST_CASE("local header: agrees with the directory, in all forms that writers use") {
  CHECK(refused(ZipBuilder().add("a", text).build()) == "accepted");
  CHECK(refused(ZipBuilder().add("a", text, {.zip64 = true}).build()) == "accepted");
  CHECK(refused(ZipBuilder().add("a", text, {.local_extra = extra_item(0x5455, "time")}).build()) ==
        "accepted");
  CHECK(refused(ZipBuilder().add("a", text, {.local_extra = std::string(3, '\0')}).build()) ==
        "accepted"); // zipalign
  for (const bool zip64 : {false, true}) {
    for (const bool sizes : {false, true}) {
      const ZipOptions options{
          .zip64 = zip64, .descriptor = Descriptor::signed32, .sizes_in_local_header = sizes};
      CHECK(refused(ZipBuilder().add("a", text, options).build()) == "accepted");
    }
  }
  // bsdtar: the size is known, the CRC and the compressed size are not.
  auto partly = ZipBuilder().add("a", text, {.descriptor = Descriptor::signed32}).build();
  CHECK(refused(partly.set_local_size(0, 5000)) == "accepted");
  // Effort bits are nobody's business.
  CHECK(refused(ZipBuilder().add("a", text).build().set_local_flags(0, 2)) == "accepted");
}

TEST_CASE("local header: how long it is") {
  const auto zip = ZipBuilder().add("name", text, {.local_extra = extra_item(0x5455, "time")}).build();
  const Entry entry = first_entry(zip);
  const std::string header = zip.local_header(0);
  CHECK(zip::local_header_size(bytes_of(header).first(30), entry).value() == 30 + 4 + 8);
  CHECK(zip::local_header_size(bytes_of(header), entry).value() == header.size());
  for (std::size_t size = 0; size < 30; ++size) {
    CHECK(refusal(zip::local_header_size(bytes_of(header).first(size), entry)) ==
          "entry \"name\": local header: it is cut off");
  }
  for (std::size_t size = 0; size < header.size(); ++size) {
    CHECK(refusal(zip::check_local_header(bytes_of(header).first(size), entry)) ==
          "entry \"name\": local header: it is cut off");
  }
  CHECK(refusal(zip::check_local_header(bytes_of(header + "x"), entry)) != "accepted");
  CHECK(refusal(zip::local_header_size(bytes_of("PK\x01\x02" + header.substr(4)), entry)) ==
        "entry \"name\": local header: there is none where the central directory says");
}

TEST_CASE("local header: contradicts the directory") {
  const auto zip = ZipBuilder().add("a", text).build();
  CHECK(refused(BuiltZip(zip).poke8(30, 'b')) == differs("its name differs from"));
  CHECK(refused(BuiltZip(zip).poke16(26, 2)) == differs("its name differs from"));
  CHECK(refused(BuiltZip(zip).set_local_method(0, 0)) == differs("its compression method differs from"));
  for (const unsigned bit : {0U, 3U, 5U, 6U, 11U, 13U}) {
    CHECK(refused(BuiltZip(zip).set_local_flags(0, static_cast<std::uint16_t>(1U << bit))) ==
          differs("its flags differ from"));
  }
  CHECK(refused(BuiltZip(zip).set_local_crc(0, 1)) == differs("its CRC differs from"));
  CHECK(refused(BuiltZip(zip).set_local_crc(0, 0)) == differs("its CRC differs from"));
  CHECK(refused(BuiltZip(zip).set_local_size(0, 4999)) == differs("its sizes differ from"));
  CHECK(refused(BuiltZip(zip).set_local_size(0, 0)) == differs("its sizes differ from"));
  CHECK(refused(BuiltZip(zip).set_local_compressed_size(0, 1)) == differs("its sizes differ from"));
}

TEST_CASE("local header: its Unicode Path is the directory's, if it has one") {
  const std::string item = unicode_path_extra("gr__", "grüß");
  const auto with = [](const std::string& here, const std::string& there) {
    return refused(ZipBuilder().add("gr__", text, {.local_extra = here, .central_extra = there}).build());
  };
  CHECK(with(item, item) == "accepted");
  CHECK(with("", item) == "accepted");                                     // WinZip
  CHECK(with(unicode_path_extra("renamed", "größe"), item) == "accepted"); // stale: not this name's
  const std::string other =
      "entry \"grüß\": local header: its Unicode Path differs from the central directory's";
  CHECK(with(unicode_path_extra("gr__", "größ"), item) == other);
  CHECK(with(item, "") ==
        "entry \"gr__\": local header: its Unicode Path differs from the central directory's");
}

TEST_CASE("local header: with a data descriptor zeros are fine, lies are not") {
  const auto zip = ZipBuilder().add("a", text, {.descriptor = Descriptor::signed32}).build();
  CHECK(refused(zip) == "accepted");
  CHECK(refused(BuiltZip(zip).set_local_crc(0, 1)) == differs("its CRC differs from"));
  CHECK(refused(BuiltZip(zip).set_local_size(0, 1)) == differs("its sizes differ from"));
  CHECK(refused(BuiltZip(zip).set_local_compressed_size(0, 1)) == differs("its sizes differ from"));
  CHECK(refused(BuiltZip(zip).set_local_flags(0, 0)) == differs("its flags differ from"));
}

TEST_CASE("local header: zip64 sizes") {
  const auto zip = ZipBuilder().add("a", text, {.zip64 = true}).build();
  const std::uint64_t values = 30 + 1 + 4;
  CHECK(refused(BuiltZip(zip).poke64(values, 4999)) == differs("its sizes differ from"));
  CHECK(refused(BuiltZip(zip).poke64(values + 8, 1)) == differs("its sizes differ from"));
  CHECK(refused(ZipBuilder().add("a", text).build().set_local_size(0, 0xFFFFFFFF)) ==
        "entry \"a\": local header: a zip64 size is missing");
  // Both sizes stand there, whichever is saturated.
  const ZipOptions one_size{.local_extra = extra_item(1, std::string("\x88\x13\0\0\0\0\0\0", 8))};
  CHECK(refused(ZipBuilder().add("a", text, one_size).build().set_local_size(0, 0xFFFFFFFF)) ==
        "entry \"a\": local header: a zip64 size is missing");
  CHECK(refused(BuiltZip(zip).set_local_size(0, 5000)) == "accepted");
}

TEST_CASE("data: where it ends, and that it stays in its region") {
  const auto zip = ZipBuilder().add("a", text, {.descriptor = Descriptor::plain32}).add("b", "b").build();
  Entry entry = first_entry(zip);
  const std::size_t header = zip.local_header(0).size();
  CHECK(zip::data_end(entry, header).value() == zip.entries[0].data_end);
  // One byte of extra field more, and the descriptor has no room.
  CHECK(refusal(zip::data_end(entry, header + 1)) == "entry \"a\": its data overlaps what follows");
  entry.flags = 0;
  CHECK(refusal(zip::data_end(entry, header + 12)) == "accepted");
  CHECK(refusal(zip::data_end(entry, header + 13)) == "entry \"a\": its data overlaps what follows");
  entry.compressed_size = ~0ULL;
  CHECK(refusal(zip::data_end(entry, header)) == "entry \"a\": its data overlaps what follows");
}

TEST_CASE("data descriptor: four forms, all values checked, cut anywhere") {
  const std::string wrong =
      "entry \"a\": its data descriptor is missing or contradicts the central directory";
  for (const Descriptor form :
       {Descriptor::signed32, Descriptor::plain32, Descriptor::signed64, Descriptor::plain64}) {
    const auto zip = ZipBuilder().add("a", text, {.descriptor = form}).build();
    const Entry entry = first_entry(zip);
    const std::string bytes = zip.after_data(0);
    CHECK(refusal(zip::check_data_descriptor(bytes_of(bytes), entry)) == "accepted");
    CHECK(refusal(zip::check_data_descriptor(bytes_of(bytes + "padding"), entry)) == "accepted");
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      CHECK(refusal(zip::check_data_descriptor(bytes_of(bytes).first(size), entry)) == wrong);
    }
    for (std::size_t at = 0; at < bytes.size() * 8; ++at) {
      std::string flipped = bytes;
      flipped[at / 8] = static_cast<char>(flipped[at / 8] ^ 1 << at % 8);
      CHECK(refusal(zip::check_data_descriptor(bytes_of(flipped), entry)) == wrong);
    }
  }
  // A CRC that looks like the signature, without one before it.
  Entry unlucky;
  unlucky.path = "a";
  unlucky.flags = 8;
  unlucky.crc = 0x08074b50;
  unlucky.compressed_size = unlucky.size = 1;
  const std::string_view plain("PK\x07\x08\1\0\0\0\1\0\0\0", 12);
  CHECK(refusal(zip::check_data_descriptor(bytes_of(plain), unlucky)) == "accepted");
  // Without bit 3 there is none to look at.
  unlucky.flags = 0;
  CHECK(refusal(zip::check_data_descriptor({}, unlucky)) == "accepted");
}

TEST_CASE("data descriptor: sizes beyond 4 GiB need the 64-bit form") {
  Entry entry;
  entry.path = "a";
  entry.flags = 8;
  entry.compressed_size = entry.size = (1ULL << 32U) + 1;
  CHECK(refusal(zip::check_data_descriptor(bytes_of(std::string_view("\0\0\0\0\1\0\0\0\1\0\0\0", 12)),
                                           entry)) != "accepted");
  const std::string_view wide("\0\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0", 20);
  CHECK(refusal(zip::check_data_descriptor(bytes_of(wide), entry)) == "accepted");
}

TEST_CASE("symbolic links: targets inside the archive") {
  const auto check = [](std::string_view path, std::string_view target) {
    Entry entry;
    entry.path = path;
    const std::string why = refusal(zip::check_symlink_target(entry, target));
    const std::string prefix =
        "entry \"" + printable(path) + "\": symbolic link to \"" + printable(target) + "\": ";
    return why.rfind(prefix, 0) == 0 ? why.substr(prefix.size()) : why;
  };
  const std::string outside = "the target lies outside the archive";
  CHECK(check("lib/libx.so", "libx.so.1") == "accepted");
  CHECK(check("libx.so", "lib/v1/libx.so") == "accepted");
  CHECK(check("lib/libx.so", "../bin/x") == "accepted");
  CHECK(check("a/b/c", "../..") == "accepted"); // the root itself
  CHECK(check("a/b/c", "./../.././d//e/.") == "accepted");
  CHECK(check("a", "a..b/...") == "accepted");
  CHECK(check("a", ".") == "accepted");
  CHECK(check("a", std::string(255, 'x')) == "accepted");

  CHECK(check("a", "..") == outside);
  CHECK(check("a", "./../b") == outside);
  CHECK(check("lib/a", "../../etc/passwd") == outside);
  CHECK(check("a/b/c", "../../../x") == outside);
  CHECK(check("a", "/etc/passwd") == "the target is absolute");
  CHECK(check("a", "") == "the target is empty");
  CHECK(check("a", std::string_view("b\0c", 3)) == "the target contains NUL");
  CHECK(check("a", std::string(256, 'x')) == "a component is longer than 255 bytes");

  std::string longest;
  while (longest.size() < 4095)
    longest += "x/";
  longest.resize(4095);
  CHECK(check("a", longest) == "accepted");
  CHECK(check("a", longest + "x") == "the target is longer than 4095 bytes");

  // "b" may be a link that leads deep down or far up: what ".." means after it is not in the text.
  CHECK(check("lib/a", "b/../c") == "'..' after a name may lead anywhere; write the target without it");
  CHECK(check("lib/a", "../b/..") == "'..' after a name may lead anywhere; write the target without it");

  CHECK(check("a", ".tmpdump/manifest") == "'.tmpdump' at the top is reserved for tmpdump's own files");
  CHECK(check("lib/a", "../.tmpdump") == "'.tmpdump' at the top is reserved for tmpdump's own files");
  CHECK(check("lib/a", ".tmpdump") == "accepted");
  CHECK(check("a", "lib/.tmpdump") == "accepted");
}
