// SPDX-License-Identifier: Apache-2.0
// Levels of x86-64 processors, from what CPUID answers; the loader of this machine is the oracle.
#include "base/cpu.h"
#include "support/catch.h"

#include <cstdio>
#include <map>
#include <memory>
#include <string>

using namespace tmpdump;

namespace {

// A processor that a test takes features from.
struct Processor {
  std::map<std::uint32_t, Cpuid> leaves;
  std::uint64_t saved = 0; // XCR0
  unsigned asked_xcr0 = 0;

  CpuLevel level() {
    return cpu_level({[this](std::uint32_t leaf, std::uint32_t subleaf) {
                        CHECK(subleaf == 0);
                        const auto found = leaves.find(leaf);
                        return found == leaves.end() ? Cpuid{} : found->second;
                      },
                      [this] {
                        ++asked_xcr0;
                        return saved;
                      }});
  }
};

// Registers as /proc/cpuinfo's processors answer: an Intel Ice Lake server (AVX-512), under Linux.
Processor ice_lake() {
  Processor processor;
  processor.leaves[1].ecx = 0xfffa3203;
  processor.leaves[7].ebx = 0xf1bf07ab;
  processor.leaves[0x80000001].ecx = 0x00000121;
  processor.saved = 0x2e7;
  return processor;
}

[[maybe_unused]] std::string output_of(const char* command) { // x86 alone
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> pipe(popen(command, "r"), pclose);
  std::string out;
  char buffer[4096];
  std::size_t count = 0;
  while (pipe && (count = std::fread(buffer, 1, sizeof buffer, pipe.get())) > 0)
    out.append(buffer, count);
  return out;
}

} // namespace

TEST_CASE("a server with AVX-512 is x86-64-v4") {
  CHECK(ice_lake().level() == CpuLevel::v4);
}

TEST_CASE("a level needs every one of its features") {
  const auto without = [](std::uint32_t leaf, std::uint32_t Cpuid::*part, unsigned bit) {
    Processor processor = ice_lake();
    processor.leaves[leaf].*part &= ~(std::uint32_t{1} << bit);
    return processor.level();
  };
  for (const unsigned bit : {0U, 9U, 13U, 19U, 20U, 23U}) { // SSE3, SSSE3, CMPXCHG16B, SSE4.1, SSE4.2, POPCNT
    CAPTURE(bit);
    CHECK(without(1, &Cpuid::ecx, bit) == CpuLevel::baseline);
  }
  CHECK(without(0x80000001, &Cpuid::ecx, 0) == CpuLevel::baseline); // LAHF and SAHF in 64-bit mode
  for (const unsigned bit : {12U, 22U, 28U, 29U}) {                 // FMA, MOVBE, AVX, F16C
    CAPTURE(bit);
    CHECK(without(1, &Cpuid::ecx, bit) == CpuLevel::v2);
  }
  for (const unsigned bit : {3U, 5U, 8U}) { // BMI1, AVX2, BMI2
    CAPTURE(bit);
    CHECK(without(7, &Cpuid::ebx, bit) == CpuLevel::v2);
  }
  CHECK(without(0x80000001, &Cpuid::ecx, 5) == CpuLevel::v2); // LZCNT
  for (const unsigned bit : {16U, 17U, 28U, 30U, 31U}) {      // AVX-512 F, DQ, CD, BW, VL
    CAPTURE(bit);
    CHECK(without(7, &Cpuid::ebx, bit) == CpuLevel::v3);
  }
}

TEST_CASE("registers that the kernel does not save are not used") {
  Processor processor = ice_lake();
  processor.saved = 0x07; // x87, SSE, AVX
  CHECK(processor.level() == CpuLevel::v3);
  processor.saved = 0x03; // x87, SSE
  CHECK(processor.level() == CpuLevel::v2);
  processor.saved = 0xe3; // AVX-512's without AVX's
  CHECK(processor.level() == CpuLevel::v2);
}

TEST_CASE("XGETBV is an illegal instruction where the kernel did not turn it on") {
  Processor processor = ice_lake();
  processor.leaves[1].ecx &= ~(std::uint32_t{1} << 27U); // OSXSAVE
  CHECK(processor.level() == CpuLevel::v2);
  CHECK(processor.asked_xcr0 == 0);
}

TEST_CASE("an old processor answers little") {
  Processor processor;
  CHECK(processor.level() == CpuLevel::baseline);
}

TEST_CASE("names are those of glibc's folders") {
  CHECK(name(CpuLevel::baseline) == "x86-64");
  CHECK(name(CpuLevel::v2) == "x86-64-v2");
  CHECK(name(CpuLevel::v3) == "x86-64-v3");
  CHECK(name(CpuLevel::v4) == "x86-64-v4");
}

#if defined(__x86_64__)
TEST_CASE("this machine has the level that its loader says") {
  // "  x86-64-v3 (supported, searched)"; glibc 2.33 and newer.
  const std::string told = output_of("/lib64/ld-linux-x86-64.so.2 --help");
  if (told.find("x86-64-v2") == std::string::npos) {
    WARN("the loader does not tell levels");
    return;
  }
  for (const CpuLevel level : {CpuLevel::v2, CpuLevel::v3, CpuLevel::v4}) {
    const bool supported = told.find(std::string(name(level)) + " (supported") != std::string::npos;
    CAPTURE(std::string(name(level)));
    CHECK((cpu_level() >= level) == supported);
  }
}
#endif
