// SPDX-License-Identifier: Apache-2.0
// Packed archives (proto/packed.md): entries whose segments decode side by side, and indexes that lie.
#include "prefetch/entry_parts.h"
#include "support/pipeline.h"

#include <zlib.h>

#include <mutex>
#include <set>

using namespace tmpdump;
using namespace tmpdump::test;

namespace {

constexpr std::uint32_t segment = 64U << 10U; // the smallest: many segments from little data

void poke(std::string& index, std::size_t at, std::uint64_t value, std::size_t width) {
  for (std::size_t i = 0; i < width; ++i)
    index[at + i] = static_cast<char>(value >> (8 * i) & 0xFFU);
}
std::uint32_t peek32(const std::string& index, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i)
    value |= static_cast<std::uint32_t>(static_cast<unsigned char>(index[at + i])) << (8 * i);
  return value;
}

// Where the fields of an index are.
constexpr std::size_t version = 0, reserved = 1, header_bytes = 2, segment_bytes = 4, count = 8, sizes = 12;

// One ordinary deflate stream, cut into segments where it was flushed without forgetting what came before.
std::vector<std::string> segments_that_refer_back(std::string content) {
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(content.data());
  std::vector<std::string> out;
  for (std::size_t at = 0; at < content.size(); at += segment) {
    const std::size_t share = std::min<std::size_t>(segment, content.size() - at);
    std::string data(deflateBound(&stream, share) + 64, '\0');
    stream.avail_in = static_cast<uInt>(share);
    stream.next_out = reinterpret_cast<Bytef*>(data.data());
    stream.avail_out = static_cast<uInt>(data.size());
    REQUIRE(deflate(&stream, at + share == content.size() ? Z_FINISH : Z_SYNC_FLUSH) >= 0);
    data.resize(data.size() - stream.avail_out);
    out.push_back(data);
  }
  deflateEnd(&stream);
  return out;
}

bool complains(const Pipeline::Outcome& outcome, const std::string& words) {
  return outcome.error().message.find(words) != std::string::npos;
}

struct Lie {
  const char* what;
  std::function<void(std::string&)> tell;
  const char* complaint;
};

} // namespace

TEST_CASE("segments decode side by side into one file") {
  Pipeline pipeline;
  Archive archive;
  archive.file("lib/deflated.so", prose(3'000'000, 1), {.method = 8, .segment_bytes = segment})
      .file("lib/zstd.so", prose(3'000'000, 2), {.method = 93, .mode = 0100755U, .segment_bytes = segment})
      .file("even", prose(std::size_t{4} * segment, 3), {.method = 93, .segment_bytes = segment})
      .file("one byte more", prose(std::size_t{4} * segment + 1, 4), {.method = 8, .segment_bytes = segment})
      .file("described", prose(400'000, 5),
            {.method = 8, .descriptor = Descriptor::signed32, .segment_bytes = segment})
      .file("zip64", prose(400'000, 6), {.method = 8, .zip64 = true, .segment_bytes = segment})
      .file("noise", noise(400'000, 7), {.method = 8, .segment_bytes = segment})
      .file("plain", prose(300'000, 8))
      .symlink("lib/link.so", "zstd.so");
  pipeline.holds(archive);
  pipeline.settings.decoders = 4;
  std::mutex mutex;
  std::multiset<std::string> told;
  pipeline.observer.published = [&](const zip::Entry& entry) -> result<void> {
    const std::lock_guard lock(mutex);
    told.insert(entry.path);
    return {};
  };
  REQUIRE(pipeline.fetch());
  CHECK(difference(pipeline.tree(), archive.tree()).empty());
  CHECK(pipeline.staged().empty());
  CHECK(told.size() == 9);
  CHECK(std::set<std::string>(told.begin(), told.end()).size() == told.size());
}

TEST_CASE("an entry's parts cover its region and its bytes") {
  zip::Entry entry;
  entry.local_header_offset = 1'000;
  entry.compressed_size = 600;
  entry.size = 2 * segment + 5;
  entry.region_end = 1'000 + 40 + 600 + 16;
  const auto whole = prefetch::parts_of(entry);
  REQUIRE(whole.size() == 1);
  CHECK((whole[0].begin == 1'000 && whole[0].end == entry.region_end));
  CHECK((whole[0].first && whole[0].last && whole[0].size == entry.size && whole[0].compressed == 600));

  entry.segments = zip::SegmentIndex{40, segment, {100, 200, 300}};
  const auto parts = prefetch::parts_of(entry);
  REQUIRE(parts.size() == 3);
  CHECK((parts[0].begin == 1'000 && parts[0].end == 1'140 && parts[0].first && !parts[0].last));
  CHECK((parts[1].begin == 1'140 && parts[1].end == 1'340 && !parts[1].first && !parts[1].last));
  CHECK((parts[2].begin == 1'340 && parts[2].end == entry.region_end && !parts[2].first && parts[2].last));
  CHECK(
      (parts[0].offset == 0 && parts[1].offset == segment && parts[2].offset == std::uint64_t{2} * segment));
  CHECK((parts[0].size == segment && parts[1].size == segment && parts[2].size == 5));
}

TEST_CASE("an index of a version to come is not used") {
  Pipeline pipeline;
  Archive archive;
  const auto newer = [](std::string& index) { index = "\x02 something else"; };
  archive.file("a", prose(400'000, 1), {.method = 8, .segment_bytes = segment, .lie = newer})
      .file("b", prose(400'000, 2), {.method = 93, .segment_bytes = segment, .lie = newer});
  pipeline.holds(archive);
  REQUIRE(pipeline.fetch());
  CHECK(difference(pipeline.tree(), archive.tree()).empty());
}

TEST_CASE("an index that lies is an error and never a wrong byte") {
  const std::vector<Lie> lies = {
      {"empty", [](auto& index) { index.clear(); }, "is empty"},
      {"cut short", [](auto& index) { index.resize(11); }, "is cut short"},
      {"reserved", [](auto& index) { poke(index, reserved, 1, 1); }, "reserved"},
      {"header too short", [](auto& index) { poke(index, header_bytes, 29, 2); }, "too short"},
      {"header longer", [](auto& index) { index[header_bytes] = static_cast<char>(index[header_bytes] + 1); },
       "overlaps what follows"},
      {"header shorter",
       [](auto& index) { index[header_bytes] = static_cast<char>(index[header_bytes] - 1); },
       "entry 'lib/x.so'"}, // the header's reader or that of a segment: who is first
      {"tiny segments", [](auto& index) { poke(index, segment_bytes, 65'535, 4); }, "not 65536 to"},
      {"huge segments", [](auto& index) { poke(index, segment_bytes, 0x40000001, 4); }, "not 65536 to"},
      {"other segments", [](auto& index) { poke(index, segment_bytes, segment + 100, 4); }, "decodes to"},
      {"no segments",
       [](auto& index) {
         poke(index, count, 0, 4);
         index.resize(sizes);
       },
       "not 2 to 4096"},
      {"too many", [](auto& index) { poke(index, count, 4097, 4); }, "not 2 to 4096"},
      {"count without sizes", [](auto& index) { poke(index, count, 4000, 4); }, "another length"},
      {"one less",
       [](auto& index) {
         poke(index, count, peek32(index, count) - 1, 4);
         index.resize(index.size() - 4);
       },
       "does not cover"},
      {"an empty segment",
       [](auto& index) {
         poke(index, sizes + 4, peek32(index, sizes) + peek32(index, sizes + 4), 4);
         poke(index, sizes, 0, 4);
       },
       "empty segment"},
      {"sum", [](auto& index) { poke(index, sizes, peek32(index, sizes) + 1, 4); }, "adds up to"},
      {"a byte moved to the next",
       [](auto& index) {
         poke(index, sizes, peek32(index, sizes) - 1, 4);
         poke(index, sizes + 4, peek32(index, sizes + 4) + 1, 4);
       },
       "entry 'lib/x.so'"},
      {"a byte taken from the next",
       [](auto& index) {
         poke(index, sizes, peek32(index, sizes) + 1, 4);
         poke(index, sizes + 4, peek32(index, sizes + 4) - 1, 4);
       },
       "entry 'lib/x.so'"},
      {"two exchanged",
       [](auto& index) {
         const auto first = peek32(index, sizes);
         poke(index, sizes, peek32(index, sizes + 4), 4);
         poke(index, sizes + 4, first, 4);
       },
       "entry 'lib/x.so'"},
  };
  for (const std::uint16_t method : {std::uint16_t{8}, std::uint16_t{93}}) {
    for (const auto& lie : lies) {
      CAPTURE(method, lie.what);
      Pipeline pipeline;
      Archive archive;
      archive.file("lib/x.so", prose(300'001, 1) + noise(100'000, 2),
                   {.method = method, .segment_bytes = segment, .lie = lie.tell});
      pipeline.holds(archive);
      const auto outcome = pipeline.fetch();
      REQUIRE_FALSE(outcome);
      CHECK(outcome.error().code == Errc::bad_archive);
      CHECK(complains(outcome, "lib/x.so"));
      CHECK(complains(outcome, lie.complaint));
      CHECK(pipeline.tree().count("lib/x.so") == 0);
      CHECK(pipeline.staged().empty());
    }
  }
}

TEST_CASE("an index where none belongs is refused") {
  const auto index_of = [](std::uint32_t header) {
    std::string data(sizes + 8, '\0');
    poke(data, version, 1, 1);
    poke(data, header_bytes, header, 2);
    poke(data, segment_bytes, segment, 4);
    poke(data, count, 2, 4);
    poke(data, sizes, 50'000, 4);
    poke(data, sizes + 4, 50'000, 4);
    return extra_item(0x5444, data);
  };
  SECTION("stored") {
    Pipeline pipeline;
    Archive archive;
    archive.file("x", noise(100'000), {.method = 0, .central_extra = index_of(31)});
    pipeline.holds(archive);
    const auto outcome = pipeline.fetch();
    REQUIRE_FALSE(outcome);
    CHECK(complains(outcome, "belongs to a compressed file"));
  }
  SECTION("twice") {
    Pipeline pipeline;
    Archive archive;
    archive.file("x", noise(100'000), {.method = 8, .central_extra = index_of(31), .segment_bytes = segment});
    pipeline.holds(archive);
    const auto outcome = pipeline.fetch();
    REQUIRE_FALSE(outcome);
    CHECK(complains(outcome, "occurs twice"));
  }
}

TEST_CASE("a segment that refers to bytes before it is refused") {
  const std::string content = prose(200'000, 1);
  Archive archive;
  archive.builder.add_packed("lib/x.so", content, segments_that_refer_back(content),
                             {.segment_bytes = segment});
  Pipeline pipeline;
  pipeline.holds(archive);
  const auto outcome = pipeline.fetch();
  REQUIRE_FALSE(outcome);
  CHECK(outcome.error().code == Errc::bad_archive);
  CHECK(complains(outcome, "too far back"));
  CHECK(pipeline.tree().count("lib/x.so") == 0);
}

TEST_CASE("a segment behind which any unzip would read on in another way is refused") {
  // Two stored blocks (RFC 1951, 3.2.4), of which the second announces a byte more than the segment has: the
  // next segment's first byte, to whoever reads the entry as one stream.
  const std::string content = prose(100'000, 1);
  const auto stored = [](std::uint16_t length, std::string_view bytes) {
    std::string block(1, '\0');
    for (const std::uint16_t field : {length, static_cast<std::uint16_t>(~length)}) {
      block.push_back(static_cast<char>(field & 0xFFU));
      block.push_back(static_cast<char>(field >> 8U));
    }
    return block.append(bytes);
  };
  const std::string_view share = std::string_view(content).substr(0, segment);
  const std::string first = stored(65535, share.substr(0, 65535)) + stored(2, share.substr(65535));
  Archive archive;
  archive.builder.add_packed("lib/x.so", content, {first, deflate_segment(content.substr(segment), 6, true)},
                             {.segment_bytes = segment});
  Pipeline pipeline;
  pipeline.holds(archive);
  const auto outcome = pipeline.fetch();
  REQUIRE_FALSE(outcome);
  CHECK(outcome.error().code == Errc::bad_archive);
  CHECK(complains(outcome, "within a block"));
  CHECK(pipeline.tree().count("lib/x.so") == 0);
}

TEST_CASE("damage in any segment is found, and nothing is published") {
  for (const std::uint16_t method : {std::uint16_t{8}, std::uint16_t{93}}) {
    Archive archive;
    archive.file("lib/x.so", noise(300'000, 2), {.method = method, .segment_bytes = segment});
    for (std::size_t at = 1'000; at < 300'000; at += 61'000) {
      CAPTURE(method, at);
      Pipeline pipeline;
      auto zip = archive.zip();
      pipeline.holds(zip.corrupt_data(0, at));
      const auto outcome = pipeline.fetch();
      REQUIRE_FALSE(outcome);
      CHECK(outcome.error().code == Errc::bad_archive);
      CHECK(pipeline.tree().count("lib/x.so") == 0);
    }
  }
}
