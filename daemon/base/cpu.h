// SPDX-License-Identifier: Apache-2.0
// Which of the x86-64 microarchitecture levels this processor and its kernel support: the levels of the
// x86-64 psABI, by which glibc chooses in lib/glibc-hwcaps/.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

namespace tmpdump {

enum class CpuLevel { baseline, v2, v3, v4 }; // x86-64, x86-64-v2, ...

struct Cpuid {
  std::uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
};

// What the CPUID and XGETBV instructions answer.
struct CpuQuestions {
  // A leaf beyond the processor's last one answers with zeros.
  std::function<Cpuid(std::uint32_t leaf, std::uint32_t subleaf)> cpuid;
  // Register XCR0: which state the kernel saves. Asked only when CPUID says that it may be.
  std::function<std::uint64_t()> xcr0;
};

// Pure. As glibc 2.33 and newer do, a level counts only when every feature of it is there, and those of AVX
// and AVX-512 only when the kernel saves their registers.
CpuLevel cpu_level(const CpuQuestions& questions);
// Of this machine; none where the processor is not an x86-64 one.
std::optional<CpuLevel> cpu_level();

std::string_view name(CpuLevel level); // "x86-64-v3"

} // namespace tmpdump
