// SPDX-License-Identifier: Apache-2.0
// Systematic damage: archives cut at every offset and with every bit flipped. Reading must never crash (run
// this under AddressSanitizer) and never accept an archive as something that it is not.
#include "support/catch.h"
#include "support/zip_builder.h"
#include "support/zip_reader.h"
#include "zip/directory.h"

#include <variant>

using namespace tmpdump;
using namespace tmpdump::test;

namespace {

struct Sample {
  std::string what;
  BuiltZip zip;
};

std::vector<Sample> samples() {
  const std::string text = "some text, some more text, some more text";
  const auto mixed = [&] {
    return ZipBuilder()
        .directory("lib")
        .add("lib/a.so", text)
        .symlink("lib/a", "a.so")
        .add("stored", "x", {.method = 0, .comment = "note"})
        .add("zstd", text, {.method = 93});
  };
  const auto streamed = [&](Descriptor form) {
    return ZipBuilder().add("a", text, {.descriptor = form}).add("b", "b", {.method = 0, .descriptor = form});
  };
  return {
      {"empty", ZipBuilder().build()},
      {"mixed", mixed().build()},
      {"with a comment", mixed().comment("the archive's comment").build()},
      {"behind a stub", mixed().stub("#!/bin/sh\nexit\n", false).build()},
      {"behind a stub, offsets adjusted", mixed().stub("#!/bin/sh\nexit\n", true).build()},
      {"zip64", ZipBuilder().add("a", text, {.zip64 = true}).add("b", "b").zip64_end().build()},
      {"zip64, streamed, behind a stub",
       ZipBuilder()
           .add("a", text, {.zip64 = true, .descriptor = Descriptor::signed64})
           .zip64_end()
           .stub("stub", false)
           .build()},
      {"streamed", streamed(Descriptor::signed32).build()},
      {"streamed, no signatures", streamed(Descriptor::plain32).build()},
      {"extra fields", ZipBuilder()
                           .add("a", text,
                                {.local_extra = extra_item(0x5455, "time"),
                                 .central_extra = "\x75\x78" + std::string(2, '\0')})
                           .build()},
  };
}

} // namespace

TEST_CASE("hostile: an archive cut at any offset is refused") {
  for (const Sample& sample : samples()) {
    CAPTURE(sample.what);
    const std::string& whole = sample.zip.bytes;
    REQUIRE(refusal(unpack(whole)) == "accepted");
    for (std::size_t size = 0; size < whole.size(); ++size) {
      CAPTURE(size);
      CHECK(refusal(unpack(std::string_view(whole).substr(0, size))) != "accepted");
    }
  }
}

TEST_CASE("hostile: an archive that has lost any part of its front is refused or still the same") {
  for (const Sample& sample : samples()) {
    CAPTURE(sample.what);
    const std::string& whole = sample.zip.bytes;
    const Contents original = unpack(whole).value();
    for (std::size_t lost = 1; lost < whole.size(); ++lost) {
      CAPTURE(lost);
      // Losing part of a stub does no harm.
      const auto rest = unpack(std::string_view(whole).substr(lost));
      if (rest.has_value()) CHECK(*rest == original);
      if (sample.zip.entries.empty() || lost > sample.zip.stub_size) {
        CHECK(refusal(rest) != "accepted");
      }
    }
  }
}

TEST_CASE("hostile: tails of every length either find the directory or ask for more") {
  for (const Sample& sample : samples()) {
    CAPTURE(sample.what);
    const std::string padded = std::string(70'000, '#') + sample.zip.bytes;
    for (std::size_t tail = 0; tail <= sample.zip.bytes.size() + 10; ++tail) {
      const auto found = zip::locate_directory(
          bytes_of(std::string_view(padded).substr(padded.size() - tail)), padded.size());
      REQUIRE(found.has_value());
      CHECK(std::get<zip::NeedMore>(*found).offset == padded.size() - zip::max_end_records_size);
    }
  }
}

TEST_CASE("hostile: a directory of every length is refused unless it is the whole") {
  for (const Sample& sample : samples()) {
    CAPTURE(sample.what);
    const auto location = locate(sample.zip.bytes).value();
    const std::string bytes = sample.zip.directory_bytes();
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      // What was promised is not there ...
      const auto cut = bytes_of(bytes).first(size);
      CHECK(refusal(zip::parse_directory(cut, location, sample.zip.bytes.size(), {})) ==
            "the central directory does not lie where its end record says");
      // ... or the promise was wrong, too.
      zip::DirectoryLocation shorter = location;
      shorter.size = size;
      CHECK(refusal(zip::parse_directory(cut, shorter, sample.zip.bytes.size(), {})) != "accepted");
    }
  }
}

TEST_CASE("hostile: with any bit flipped an archive is refused or still holds the same files") {
  std::size_t refused = 0;
  std::size_t harmless = 0; // times, versions, comments, permissions
  for (const Sample& sample : samples()) {
    CAPTURE(sample.what);
    const Contents original = unpack(sample.zip.bytes).value();
    std::string bytes = sample.zip.bytes;
    for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
      const auto flip = [&] { bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ 1 << bit % 8); };
      flip();
      const auto damaged = unpack(bytes);
      flip();
      if (damaged.has_error()) {
        ++refused;
        continue;
      }
      ++harmless;
      if (*damaged != original) {
        CAPTURE(bit / 8, bit % 8);
        CHECK(*damaged == original);
      }
    }
  }
  CHECK(refused > 15'000);
  CHECK(harmless > 1'000);
}

TEST_CASE("hostile: any field of a record set to an extreme") {
  for (const Sample& sample : samples()) {
    CAPTURE(sample.what);
    const Contents original = unpack(sample.zip.bytes).value();
    for (std::size_t at = 0; at + 8 <= sample.zip.bytes.size(); ++at) {
      for (const std::size_t width : {std::size_t{1}, std::size_t{2}, std::size_t{4}, std::size_t{8}}) {
        for (const char value : {'\x00', '\xFF', '\x7F'}) {
          std::string bytes = sample.zip.bytes;
          bytes.replace(at, width, width, value);
          // Only that it does not crash or run away: more than one field may have been hit consistently.
          const auto outcome = unpack(bytes);
          if (outcome.has_value()) CHECK(outcome->size() <= original.size());
        }
      }
    }
  }
}
