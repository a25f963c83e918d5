// SPDX-License-Identifier: Apache-2.0
// Stores into words that other processes read; the loads are in manifest_view.h.
#pragma once

#include "manifest/futex.h"
#include "manifest_view.h"

#include <algorithm>
#include <cstdint>
#include <ctime>
#include <string_view>

namespace tmpdump::manifest {

inline std::uint64_t clock_ns(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(now.tv_nsec);
}

// Words that readers look at without an order among them.
template <class T>
void store(T& word, T value) {
  __atomic_store_n(&word, value, __ATOMIC_RELAXED);
}
template <class T>
void add(T& word, T value) {
  __atomic_fetch_add(&word, value, __ATOMIC_RELAXED);
}
// The words that say that what was written before them may be read.
inline void release(std::uint32_t& word, std::uint32_t value) {
  __atomic_store_n(&word, value, __ATOMIC_RELEASE);
}
inline bool release_from(std::uint32_t& word, std::uint32_t expected, std::uint32_t value) {
  return __atomic_compare_exchange_n(&word, &expected, value, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}

inline void announce_change(tmpdump_manifest_header& header) {
  __atomic_fetch_add(&header.changed, 1U, __ATOMIC_RELEASE);
  futex_wake_all(&header.changed);
}

inline std::uint32_t set_text(char* field, std::size_t capacity, std::string_view text) {
  const std::size_t size = std::min(capacity, text.size());
  std::copy_n(text.data(), size, field);
  return static_cast<std::uint32_t>(size);
}

} // namespace tmpdump::manifest
