// SPDX-License-Identifier: Apache-2.0
#include "base/cpu.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace tmpdump {

namespace {

constexpr bool all(std::uint64_t value, std::uint64_t bits) {
  return (value & bits) == bits;
}
constexpr std::uint32_t bit(unsigned number) {
  return std::uint32_t{1} << number;
}

// Intel SDM volume 2A, CPUID; AMD APM volume 3, appendix E.
namespace leaf1_ecx {
constexpr std::uint32_t sse3 = bit(0), ssse3 = bit(9), fma = bit(12), cmpxchg16b = bit(13), sse4_1 = bit(19),
                        sse4_2 = bit(20), movbe = bit(22), popcnt = bit(23), osxsave = bit(27), avx = bit(28),
                        f16c = bit(29);
} // namespace leaf1_ecx
namespace leaf7_ebx {
constexpr std::uint32_t bmi1 = bit(3), avx2 = bit(5), bmi2 = bit(8), avx512f = bit(16), avx512dq = bit(17),
                        avx512cd = bit(28), avx512bw = bit(30), avx512vl = bit(31);
} // namespace leaf7_ebx
namespace extended1_ecx {
constexpr std::uint32_t lahf_sahf = bit(0), lzcnt = bit(5);
} // namespace extended1_ecx
namespace xcr0 {
constexpr std::uint64_t sse_and_avx = 0x06, avx512 = 0xE0;
} // namespace xcr0

} // namespace

CpuLevel cpu_level(const CpuQuestions& questions) {
  const std::uint32_t basic = questions.cpuid(1, 0).ecx;
  const std::uint32_t structured = questions.cpuid(7, 0).ebx;
  const std::uint32_t extended = questions.cpuid(0x80000001, 0).ecx;
  const std::uint64_t saved = all(basic, leaf1_ecx::osxsave) ? questions.xcr0() : 0;

  const bool v2 = all(basic, leaf1_ecx::sse3 | leaf1_ecx::ssse3 | leaf1_ecx::cmpxchg16b | leaf1_ecx::sse4_1 |
                                 leaf1_ecx::sse4_2 | leaf1_ecx::popcnt) &&
                  all(extended, extended1_ecx::lahf_sahf);
  if (!v2) return CpuLevel::baseline;
  const bool v3 = all(basic, leaf1_ecx::fma | leaf1_ecx::movbe | leaf1_ecx::avx | leaf1_ecx::f16c) &&
                  all(structured, leaf7_ebx::bmi1 | leaf7_ebx::avx2 | leaf7_ebx::bmi2) &&
                  all(extended, extended1_ecx::lzcnt) && all(saved, xcr0::sse_and_avx);
  if (!v3) return CpuLevel::v2;
  const bool v4 = all(structured, leaf7_ebx::avx512f | leaf7_ebx::avx512dq | leaf7_ebx::avx512cd |
                                      leaf7_ebx::avx512bw | leaf7_ebx::avx512vl) &&
                  all(saved, xcr0::avx512);
  return v4 ? CpuLevel::v4 : CpuLevel::v3;
}

std::optional<CpuLevel> cpu_level() {
#if defined(__x86_64__)
  CpuQuestions questions;
  questions.cpuid = [](std::uint32_t leaf, std::uint32_t subleaf) {
    Cpuid answer;
    // Asks for the range's last leaf first: 0 when `leaf` lies beyond it.
    if (__get_cpuid_count(leaf, subleaf, &answer.eax, &answer.ebx, &answer.ecx, &answer.edx) == 0)
      return Cpuid{};
    return answer;
  };
  questions.xcr0 = [] {
    std::uint32_t low = 0;
    std::uint32_t high = 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return std::uint64_t{high} << 32U | low;
  };
  return cpu_level(questions);
#else
  return std::nullopt;
#endif
}

std::string_view name(CpuLevel level) {
  switch (level) {
  case CpuLevel::v2:
    return "x86-64-v2";
  case CpuLevel::v3:
    return "x86-64-v3";
  case CpuLevel::v4:
    return "x86-64-v4";
  case CpuLevel::baseline:
    break;
  }
  return "x86-64";
}

} // namespace tmpdump
