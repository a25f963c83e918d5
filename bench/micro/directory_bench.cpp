// SPDX-License-Identifier: Apache-2.0
// From the archive's last bytes to validated entries: on the path to ready of every start.
#include "support/catch.h"
#include "support/zip_builder.h"
#include "zip/directory.h"

using namespace tmpdump;

namespace {

struct Sample {
  explicit Sample(int entries) {
    test::ZipBuilder builder;
    for (int i = 0; i < entries; ++i) // names as long as those of Python packages
      builder.add("lib/python3.12/site-packages/package_" + std::to_string(i % 97) + "/module_" +
                      std::to_string(i) + ".cpython-312-x86_64-linux-gnu.so",
                  "x", {.method = 0});
    zip = builder.build();
  }
  [[nodiscard]] Bytes bytes() const { return bytes_of(std::string_view(zip.bytes)); }
  [[nodiscard]] zip::DirectoryLocation locate() const {
    return std::get<zip::DirectoryLocation>(zip::locate_directory(bytes(), zip.bytes.size()).value());
  }
  [[nodiscard]] zip::Directory parse(const zip::DirectoryLocation& at) const {
    return zip::parse_directory(bytes().subspan(at.offset, at.size), at, zip.bytes.size(), {}).value();
  }
  test::BuiltZip zip;
};

} // namespace

TEST_CASE("central directory") {
  const Sample small(140), large(10'000);
  const auto small_at = small.locate(), large_at = large.locate();
  REQUIRE(small.parse(small_at).entries.size() == 140);
  REQUIRE(large.parse(large_at).entries.size() == 10'000);
  BENCHMARK("directory, find it in 128 KiB of tail") {
    return zip::locate_directory(large.bytes().last(128U << 10U), large.zip.bytes.size());
  };
  BENCHMARK("directory, parse and validate 140 entries") {
    return small.parse(small_at);
  };
  BENCHMARK("directory, parse and validate 10,000 entries") {
    return large.parse(large_at);
  };
}
