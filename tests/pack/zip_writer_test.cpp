// SPDX-License-Identifier: Apache-2.0
// The writer's records, read back by the reader; files that appear whole or not at all.
#include "pack/archive_file.h"
#include "pack/entry_reader.h"
#include "pack/output_file.h"
#include "pack/zip_writer.h"
#include "support/catch.h"
#include "support/scratch_directory.h"

#include <zlib.h>

#include <filesystem>
#include <fstream>
#include <sstream>

using namespace tmpdump;
using namespace tmpdump::pack;

namespace {

std::string content_of(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::uint32_t crc_of(std::string_view text) {
  return static_cast<std::uint32_t>(
      crc32(0, reinterpret_cast<const Bytef*>(text.data()), static_cast<uInt>(text.size())));
}

void add_stored(ZipWriter& writer, const std::string& path, std::string_view content) {
  REQUIRE(writer.begin(path, zip::Kind::file, 0644, zip::Method::stored, content.size()).has_value());
  REQUIRE(writer.data(bytes_of(content)).has_value());
  REQUIRE(writer.end(crc_of(content), {}).has_value());
}

} // namespace

TEST_CASE("an entry of more than 4 GiB has zip64 sizes") {
  const test::ScratchDirectory folder;
  const std::string path = folder.path() + "/a.zip";
  constexpr std::uint64_t huge = 5'000'000'000;
  auto out = OutputFile::create(path);
  REQUIRE(out.has_value());
  ZipWriter writer(*out);
  REQUIRE(writer.begin("huge", zip::Kind::file, 0755, zip::Method::deflate, huge).has_value());
  const std::vector<std::byte> data(6U << 20U);
  const std::uint64_t packed = data.size();
  REQUIRE(writer.data(data).has_value());
  Segments segments{1U << 30U, std::vector<std::uint32_t>(5, static_cast<std::uint32_t>(packed / 5))};
  segments.packed_sizes[0] += static_cast<std::uint32_t>(packed % 5);
  REQUIRE(writer.end(1, segments).has_value());
  add_stored(writer, "behind", "text");
  REQUIRE(writer.finish().has_value());
  REQUIRE(out->publish().has_value());

  const auto archive = ArchiveFile::open(path);
  REQUIRE(archive.has_value());
  const auto directory = archive->directory();
  REQUIRE(directory.has_value());
  const zip::Entry& entry = directory->entries.at(0);
  CHECK(entry.size == huge);
  CHECK(entry.compressed_size == packed);
  REQUIRE(entry.segments.has_value());
  CHECK(entry.segments->compressed == segments.packed_sizes);
  CHECK(check_header(*archive, entry).value() == 30 + 4 + 20);
  CHECK(read_text(*archive, directory->entries.at(1), 100).value() == "text");
}

TEST_CASE("more entries than 16 bits count") {
  const test::ScratchDirectory folder;
  auto out = OutputFile::create(folder.path() + "/a.zip");
  ZipWriter writer(*out);
  for (int i = 0; i < 66'000; ++i)
    add_stored(writer, std::to_string(i), "x");
  REQUIRE(writer.finish().has_value());
  REQUIRE(out->publish().has_value());
  const auto archive = ArchiveFile::open(folder.path() + "/a.zip");
  CHECK(archive->directory()->entries.size() == 66'000);
}

TEST_CASE("a directory beyond 4 GiB is found through zip64's end record") {
  constexpr std::uint64_t offset = 6'000'000'000, size = 100'000;
  const std::string tail = "PK\1\2" + std::string(size - 4, 'd') + end_records(3, offset, size, "comment");
  const auto found = zip::locate_directory(bytes_of(tail), offset + tail.size());
  REQUIRE(found.has_value());
  const auto& location = std::get<zip::DirectoryLocation>(*found);
  CHECK(location.offset == offset);
  CHECK(location.size == size);
  CHECK(location.entry_count == 3);
}

TEST_CASE("paths that a reader would refuse are refused here, by name") {
  const test::ScratchDirectory folder;
  auto out = OutputFile::create(folder.path() + "/a.zip");
  ZipWriter writer(*out);
  for (const char* path : {"", "/abs", "a/../b", "a//b", "a/", "./a", ".tmpdump/manifest", "\xFF"}) {
    const auto refused = writer.begin(path, zip::Kind::file, 0644, zip::Method::stored, 0);
    CAPTURE(path);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == Errc::usage);
  }
  CHECK(writer.begin("gr\xC3\xBC\xC3\x9F", zip::Kind::file, 0644, zip::Method::stored, 0).has_value());
}

TEST_CASE("an output replaces what was there only when it is published") {
  const test::ScratchDirectory folder;
  const std::string path = folder.path() + "/out";
  std::ofstream(path) << "before";
  {
    auto out = OutputFile::create(path);
    REQUIRE(out->append(bytes_of("half")).has_value());
    REQUIRE(out->flush().has_value());
  }
  CHECK(content_of(path) == "before");
  auto out = OutputFile::create(path);
  REQUIRE(out->append(bytes_of("abcdef")).has_value());
  REQUIRE(out->flush().has_value());
  REQUIRE(out->append(bytes_of("ghi")).has_value());
  REQUIRE(out->overwrite(4, bytes_of("EFGH")).has_value()); // both what is on disk and what is not yet
  CHECK(content_of(path) == "before");
  REQUIRE(out->publish().has_value());
  CHECK(content_of(path) == "abcdEFGHi");
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
}
