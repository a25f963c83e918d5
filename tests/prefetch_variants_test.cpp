// SPDX-License-Identifier: Apache-2.0
// Of a library's variants one is fetched, and it is the one that runs.
#include "fetch/range_plan.h"
#include "support/pipeline.h"

#include <dlfcn.h>
#include <fstream>
#include <sstream>

using namespace tmpdump;
using namespace tmpdump::test;

namespace {

std::string contents(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

// What the library in the destination says of itself.
std::string reported(const std::string& library) {
  void* const handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) return dlerror();
  const auto variant = reinterpret_cast<const char* (*)()>(dlsym(handle, "tmpdump_variant"));
  std::string out = variant();
  dlclose(handle);
  return out;
}

const std::vector<std::pair<CpuLevel, std::string>> levels = {
    {CpuLevel::baseline, "lib/libvariant.so"},
    {CpuLevel::v2, "lib/glibc-hwcaps/x86-64-v2/libvariant.so"},
    {CpuLevel::v3, "lib/glibc-hwcaps/x86-64-v3/libvariant.so"},
    {CpuLevel::v4, "lib/glibc-hwcaps/x86-64-v4/libvariant.so"}};

} // namespace

TEST_CASE("a library that reports which variant runs") {
  Archive archive;
  for (const auto& [level, path] : levels)
    archive.file(path,
                 contents(std::string(TMPDUMP_VARIANTS) + "/" + std::string(name(level)) + "/libvariant.so"),
                 {.mode = 0100755U});
  for (const auto& [level, path] : levels) {
    Pipeline pipeline;
    pipeline.holds(archive);
    pipeline.settings.cpu = level;
    REQUIRE(pipeline.fetch());
    CHECK(reported(pipeline.scratch.path("dest/lib/libvariant.so")) == name(level));
    CHECK(pipeline.tree().size() == 2); // lib and the library
  }
}

TEST_CASE("the other variants' bytes are not asked for") {
  Archive archive;
  for (const auto& [level, path] : levels)
    archive.stored(path, noise(6 * mib, static_cast<std::uint64_t>(level)));
  for (const auto& [level, path] : levels) {
    Pipeline pipeline;
    pipeline.holds(archive);
    pipeline.settings.cpu = level;
    pipeline.settings.speculate = false;
    REQUIRE(pipeline.fetch());
    CHECK(pipeline.tree().at("lib/libvariant.so").content ==
          noise(6 * mib, static_cast<std::uint64_t>(level)));
    CHECK(pipeline.bytes_asked() < 6 * mib + 256 * kib);
  }
}

TEST_CASE("what is asked for before anything is known is all that can be too much") {
  Archive archive;
  for (const auto& [level, path] : levels)
    archive.stored(path, noise(8 * mib, static_cast<std::uint64_t>(level)));
  std::uint64_t front = 0;
  for (const auto& slice : fetch::speculative_front())
    front += slice.length;
  REQUIRE(front + 8 * mib < 8 * mib * std::size(levels));
  for (const auto& [level, path] : levels) {
    Pipeline pipeline;
    pipeline.holds(archive);
    pipeline.settings.cpu = level;
    REQUIRE(pipeline.fetch());
    CHECK(pipeline.tree().at("lib/libvariant.so").content ==
          noise(8 * mib, static_cast<std::uint64_t>(level)));
    CHECK(pipeline.bytes_asked() <= front + 8 * mib + 256 * kib);
  }
}

TEST_CASE("a variant's link must stay in its folder") {
  Archive archive;
  archive.file("lib/libx.so.1", "the base").symlink("lib/glibc-hwcaps/x86-64-v3/libx.so", "../../libx.so.1");
  Pipeline pipeline;
  pipeline.holds(archive);
  pipeline.settings.cpu = CpuLevel::v3;
  const auto outcome = pipeline.fetch();
  REQUIRE_FALSE(outcome);
  CHECK(outcome.error().code == Errc::bad_archive);
}
