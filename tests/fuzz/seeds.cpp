// SPDX-License-Identifier: Apache-2.0
// Writes the seed corpora that are bytes: fuzz_seeds FOLDER (tests/fuzz/corpus). Run by hand when a format
// changes; the files are kept in the tree, since a fuzzer's run must not depend on this program.
#include "manifest/writer.h"
#include "support/bit_writer.h"
#include "support/elf_builder.h"
#include "support/zip_builder.h"

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

using namespace tmpdump;
using namespace tmpdump::test;

namespace {

std::filesystem::path corpus;

void seed(const std::string& target, const std::string& name, std::string_view bytes) {
  std::filesystem::create_directories(corpus / target);
  std::ofstream(corpus / target / name, std::ios::binary)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

void put(std::string& out, std::uint64_t value, std::size_t bytes) {
  for (; bytes > 0; --bytes, value >>= 8U)
    out.push_back(static_cast<char>(value & 0xFFU));
}

const std::string words = "some text, some more text, some more text";

void directories() {
  seed("directory", "empty", ZipBuilder().build().bytes);
  const auto mixed = ZipBuilder()
                         .directory("lib")
                         .add("lib/a.so", words)
                         .symlink("lib/a", "a.so")
                         .add("stored", "x", {.method = 0, .comment = "note"})
                         .add("z", words, {.method = 93, .descriptor = Descriptor::signed32})
                         .add("gr\x81\xe1.dos", "y", {.made_by = 0})
                         .comment("a comment")
                         .stub("#!/bin/sh\n", false)
                         .build();
  seed("directory", "mixed", mixed.bytes);
  seed("directory", "alone", mixed.directory_bytes());
  seed("directory", "zip64",
       ZipBuilder().add("a", words, {.zip64 = true}).add("b", "b").zip64_end().build().bytes);
  seed(
      "directory", "packed",
      ZipBuilder().add("p", std::string(200'000, 'p'), {.method = 93, .segment_bytes = 65536}).build().bytes);
  const std::string hwcaps = "lib/glibc-hwcaps/x86-64-v";
  seed("directory", "variants",
       ZipBuilder()
           .add("lib/x", "0")
           .add(hwcaps + "3/x", "3")
           .add(hwcaps + "4/x", "4")
           .directory(hwcaps + "2")
           .build()
           .bytes);
}

std::string choices(unsigned form, const std::string& data) {
  std::string out;
  put(out, form, 2);
  put(out, 0, 2);
  return out + data;
}

void entries() {
  seed("entry", "stored", choices(0, words));
  seed("entry", "deflate", choices(1, deflate_raw(words)));
  seed("entry", "deflate-streamed", choices(1 | 1U << 5U | 1U << 6U | 1U << 8U, deflate_raw(words)));
  seed("entry", "deflate-zip64",
       choices(1 | 1U << 5U | 1U << 7U | 1U << 9U, deflate_raw(std::string(70'000, 'a'))));
  seed("entry", "zstd", choices(2, zstd_frame(words) + zstd_frame(words)));
  seed("entry", "symlink", choices(7U << 2U, "a/b"));
  seed("entry", "directory", choices(6U << 2U, ""));
  seed("entry", "lie", choices(1 | 9U << 10U, deflate_raw(words)));
}

void packed() {
  const std::string segment(65536, 's');
  const auto counted = [](std::string& out, const std::string& data) {
    put(out, data.size(), 2);
    out += data;
  };
  std::string zstd("\x01"), deflate("\x02"), index(1, '\0');
  counted(zstd, zstd_frame(segment));
  counted(zstd, zstd_frame("end"));
  counted(deflate, deflate_segment(segment, 6, false));
  counted(deflate, deflate_segment(segment, 6, false));
  counted(deflate, deflate_segment("end", 6, true));
  seed("segments", "zstd", zstd);
  seed("segments", "deflate", deflate);
  put(index, 65536 + 9, 8);
  put(index, 30, 8);
  put(index, 1, 2);
  put(index, 31, 2);
  put(index, 65536, 4);
  put(index, 2, 4);
  put(index, 20, 4);
  put(index, 10, 4);
  seed("segments", "index", index);
}

// What RFC 1951 forbids, and a compressor does not write.
void refused_streams() {
  using decode::test::BitWriter;
  // 'a' and the end of length 2: two of the four codes mean nothing. The data use none of these.
  BitWriter incomplete;
  incomplete.dynamic(257, 1, {{0, 1}, {2, 1}});
  for (unsigned i = 0; i < 258; ++i)
    incomplete.code(i == 'a' || i == 256 ? 1 : 0, 1);
  incomplete.code(0, 2).code(0, 2).code(1, 2);
  seed("inflate", "refused-incomplete", incomplete.padded());
  BitWriter no_end; // 'a' and 'b' of length 1
  no_end.dynamic(257, 1, {{0, 1}, {1, 1}});
  for (unsigned i = 0; i < 258; ++i)
    no_end.code(i == 'a' || i == 'b' ? 1 : 0, 1);
  seed("inflate", "refused-no-end", no_end.padded());
  seed("inflate", "refused-too-far",
       BitWriter().bits(1, 1).bits(1, 2).fixed('a').fixed(257).fixed_distance(1).fixed(256).padded());
  seed("inflate", "refused-early", BitWriter().dynamic(257, 1, {}).bytes()); // zlib waits for more
  seed("inflate", "refused-type", BitWriter().bits(1, 1).bits(3, 2).padded());
}

void streams() {
  seed("inflate", "stored", deflate_raw(words, 0));
  seed("inflate", "fixed", deflate_raw("aaaaaaaaaab", 9));
  std::string dynamic;
  for (int i = 0; i < 600; ++i)
    dynamic += static_cast<char>('a' + i * i % 17 + i % 5);
  seed("inflate", "dynamic", deflate_raw(dynamic, 9));
  seed("inflate", "long-matches",
       deflate_raw(std::string(40'000, 'x') + dynamic + std::string(1000, 'y'), 9));
  seed("inflate", "several-blocks",
       deflate_segment(words, 6, false) + deflate_segment(dynamic, 1, true) + "behind");
  refused_streams();
}

// The header's text is left out, see manifest.cpp; 1 + 8 + 16: one change, text put back, hash made right.
void manifests() {
  const std::string folder = (std::filesystem::temp_directory_path() / "tmpdump-seeds-XXXXXX").string();
  std::string made = folder;
  if (::mkdtemp(made.data()) == nullptr) std::abort();
  std::filesystem::permissions(made, std::filesystem::perms(0755));
  std::filesystem::create_directories(made + "/lib");
  const auto read = [&] {
    std::ifstream in(made + "/.tmpdump/manifest", std::ios::binary);
    return std::string((std::istreambuf_iterator<char>(in)), {});
  };
  const auto shorten = [](std::string file, unsigned form) {
    file.erase(304, 4096 - 304);
    return std::string(1, static_cast<char>(form)) + file;
  };
  {
    auto writer = manifest::Writer::create(made, "s3://b/k").value();
    seed("manifest", "starting", shorten(read(), 8));
    const std::string a = library_that_needs({"b.so"}), b = library_that_needs({"a.so"});
    const std::vector<manifest::ListedEntry> listing{
        {.path = "lib/a.so", .kind = zip::Kind::file, .mode = 0644, .size = a.size(), .crc = 1},
        {.path = "lib/b.so", .kind = zip::Kind::file, .mode = 0644, .size = b.size(), .crc = 1},
        {.path = "link", .kind = zip::Kind::symlink, .mode = 0777, .size = 3, .crc = 1}};
    static_cast<void>(writer.set_listing("\"e\"", listing).value());
    std::ofstream(made + "/lib/a.so") << a;
    std::ofstream(made + "/lib/b.so") << b;
    std::filesystem::create_symlink("lib", made + "/link");
    for (std::uint32_t i = 0; i < 3; ++i)
      static_cast<void>(writer.publish(i).value());
    seed("manifest", "listed", shorten(read(), 8 + 16));
    static_cast<void>(writer.ready().value());
    std::string changed = shorten(read(), 8 + 16 + 1);
    put(changed, 24, 4); // the state becomes "failed"
    put(changed, 4, 2);
    put(changed, 1, 1);
    seed("manifest", "ready", changed);
  }
  std::filesystem::remove_all(made);
}

} // namespace

int main(int count, char** arguments) {
  if (count != 2) {
    std::cerr << "usage: " << arguments[0] << " FOLDER\n";
    return 2;
  }
  corpus = arguments[1];
  directories();
  entries();
  packed();
  streams();
  manifests();
  seed("elf", "library", library_that_needs({"libb.so", "libc.so.6"}));
  return 0;
}
