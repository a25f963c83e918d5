// SPDX-License-Identifier: Apache-2.0
// Which of a library's variants stays, and under which path.
#include "support/catch.h"
#include "support/zip_builder.h"
#include "support/zip_reader.h"
#include "zip/variants.h"

#include <map>

using namespace tmpdump;
using namespace tmpdump::test;

namespace {

ZipBuilder with_variants() {
  ZipBuilder zip;
  zip.directory("lib")
      .add("lib/libx.so", "base of x")
      .add("lib/liby.so", "only y")
      .directory("lib/glibc-hwcaps")
      .directory("lib/glibc-hwcaps/x86-64-v2")
      .add("lib/glibc-hwcaps/x86-64-v2/libx.so", "v2 of x")
      .directory("lib/glibc-hwcaps/x86-64-v3")
      .add("lib/glibc-hwcaps/x86-64-v3/libx.so", "v3 of x!")
      .add("lib/glibc-hwcaps/x86-64-v3/libz.so.1", "v3 of z, which has no base")
      .symlink("lib/glibc-hwcaps/x86-64-v3/libz.so", "libz.so.1")
      .directory("lib/glibc-hwcaps/x86-64-v4")
      .add("lib/glibc-hwcaps/x86-64-v4/libx.so", "v4 of x!!");
  return zip;
}

// Path to the name in the archive.
std::map<std::string, std::string> chosen(const ZipBuilder& zip, CpuLevel level) {
  std::map<std::string, std::string> out;
  auto directory = zip::choose_variants(read_directory(zip.build().bytes).value(), level).value();
  for (const auto& entry : directory.entries)
    out[entry.path] = entry.raw_name;
  return out;
}

using Paths = std::map<std::string, std::string>;

} // namespace

TEST_CASE("the best variant that runs takes the library's place") {
  const auto zip = with_variants();
  const Paths plain{{"lib", "lib/"}, {"lib/libx.so", "lib/libx.so"}, {"lib/liby.so", "lib/liby.so"}};
  CHECK(chosen(zip, CpuLevel::baseline) == plain);

  Paths v2 = plain;
  v2["lib/libx.so"] = "lib/glibc-hwcaps/x86-64-v2/libx.so";
  CHECK(chosen(zip, CpuLevel::v2) == v2);

  Paths v3 = plain;
  v3["lib/libx.so"] = "lib/glibc-hwcaps/x86-64-v3/libx.so";
  v3["lib/libz.so.1"] = "lib/glibc-hwcaps/x86-64-v3/libz.so.1";
  v3["lib/libz.so"] = "lib/glibc-hwcaps/x86-64-v3/libz.so";
  CHECK(chosen(zip, CpuLevel::v3) == v3);

  Paths v4 = v3; // a lower level's where there is none of its own
  v4["lib/libx.so"] = "lib/glibc-hwcaps/x86-64-v4/libx.so";
  CHECK(chosen(zip, CpuLevel::v4) == v4);
}

TEST_CASE("the size counts what is chosen") {
  const auto bytes = with_variants().build().bytes;
  CHECK(zip::choose_variants(read_directory(bytes).value(), CpuLevel::baseline).value().size ==
        std::string("base of x"
                    "only y")
            .size());
  CHECK(zip::choose_variants(read_directory(bytes).value(), CpuLevel::v2).value().size ==
        std::string("v2 of x"
                    "only y")
            .size());
}

TEST_CASE("only glibc's folders are variants") {
  ZipBuilder zip;
  zip.add("lib/glibc-hwcaps/power9/libx.so", "")
      .add("lib/glibc-hwcaps/x86-64-v30/libx.so", "")
      .add("lib/x86-64-v3/libx.so", "")
      .add("lib/not-glibc-hwcaps/x86-64-v3/libx.so", "")
      .add("lib/glibc-hwcaps/x86-64-v3", "a file of that name")
      .add("libx.so", "");
  for (const auto& [path, raw] : chosen(zip, CpuLevel::v4))
    CHECK(path == raw);
  CHECK(chosen(zip, CpuLevel::v4).size() == 5); // the file whose name is a level's folder is of no use
}

TEST_CASE("variants are found in any folder, at the root too") {
  ZipBuilder zip;
  zip.add("glibc-hwcaps/x86-64-v3/liba.so", "").add("opt/deep/glibc-hwcaps/x86-64-v2/sub/libb.so", "");
  CHECK(chosen(zip, CpuLevel::v3) ==
        Paths{{"liba.so", "glibc-hwcaps/x86-64-v3/liba.so"},
              {"opt/deep/sub/libb.so", "opt/deep/glibc-hwcaps/x86-64-v2/sub/libb.so"}});
  CHECK(chosen(zip, CpuLevel::baseline).empty());
}

TEST_CASE("an archive without variants stays as it is, folders and all") {
  ZipBuilder zip;
  zip.directory("lib").directory("lib/glibc-hwcaps").add("lib/libx.so", "");
  CHECK(chosen(zip, CpuLevel::v4) ==
        Paths{{"lib", "lib/"}, {"lib/glibc-hwcaps", "lib/glibc-hwcaps/"}, {"lib/libx.so", "lib/libx.so"}});
}

TEST_CASE("a variant whose new path is a folder's is refused") {
  ZipBuilder zip;
  zip.add("lib/libx.so/inside", "").add("lib/glibc-hwcaps/x86-64-v3/libx.so", "");
  const auto outcome = zip::choose_variants(read_directory(zip.build().bytes).value(), CpuLevel::v3);
  REQUIRE(outcome.has_error());
  CHECK(outcome.error().code == Errc::bad_archive);
  CHECK(outcome.error().message.find("lib/libx.so") != std::string::npos);
}
