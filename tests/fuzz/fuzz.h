// SPDX-License-Identifier: Apache-2.0
// What all fuzz targets share. A target is one file:
//
//   FUZZ_TARGET(name) { require(parse(input.text()) ..., "what must hold"); }
//
// Built by clang (preset fuzz) it is a libFuzzer program; by any compiler it is a part of fuzz_corpus_test,
// which runs the seeds of corpus/NAME through it.
#pragma once

#include "base/bytes.h"
#include "base/error.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

namespace tmpdump::fuzz {

// A promise: broken, it ends the run as a crash does, and libFuzzer keeps the input.
inline void require(bool holds, std::string_view promise) {
  if (holds) return;
  (void)std::fprintf(stderr, "broken promise: %.*s\n", static_cast<int>(promise.size()), promise.data());
  std::abort();
}

// The fuzzer's bytes, taken from the front; zeros when there are no more.
class Input {
public:
  explicit Input(Bytes bytes) : bytes_(bytes) {}
  [[nodiscard]] std::size_t size() const { return bytes_.size(); }
  [[nodiscard]] bool empty() const { return bytes_.empty(); }

  template <class T>
  T number() {
    static_assert(std::is_integral_v<T>);
    T value{};
    const Bytes taken = take(sizeof value);
    if (!taken.empty()) std::memcpy(&value, taken.data(), taken.size());
    return value;
  }
  Bytes take(std::size_t count) {
    const Bytes front = bytes_.first(std::min(count, bytes_.size()));
    bytes_ = bytes_.subspan(front.size());
    return front;
  }
  // A length of two bytes, and so many bytes.
  Bytes counted() { return take(number<std::uint16_t>()); }
  Bytes rest() { return take(bytes_.size()); }
  [[nodiscard]] Bytes peek() const { return bytes_; }

private:
  Bytes bytes_;
};

// What need not be the fuzzer's choice (how data are split) and yet must be the same for the same input.
class Chance {
public:
  explicit Chance(Bytes seed) {
    for (const std::byte b : seed)
      next_ = (next_ ^ std::to_integer<std::uint64_t>(b)) * 0x100000001b3U;
  }
  std::uint64_t number() { // splitmix64
    std::uint64_t z = (next_ += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31U);
  }
  // 1 to `limit`, mostly small.
  std::size_t size(std::size_t limit) {
    const std::uint64_t bits = number();
    const auto some = static_cast<std::size_t>(bits >> 8U);
    const std::size_t bound = std::size_t{1} << (bits % 20U);
    return 1 + some % std::min(limit, bound);
  }

private:
  std::uint64_t next_ = 0xcbf29ce484222325U;
};

// As base/error.h promises: one line, not empty, no control characters.
inline void require_message(const Failure& failure) {
  require(!failure.message.empty(), "a failure has a message");
  for (const char c : failure.message)
    require(static_cast<unsigned char>(c) >= 0x20 && c != 0x7F, "a message has no control characters");
}

using Target = void (*)(Input);
// Programs of all targets: what is known under its name.
struct Registration {
  Registration(const char* name, Target target);
};

} // namespace tmpdump::fuzz

#ifdef TMPDUMP_LIBFUZZER
// NOLINTNEXTLINE(cppcoreguidelines-macro-usage)
#define FUZZ_TARGET(name)                                                                                    \
  static void fuzz_target(tmpdump::fuzz::Input input);                                                       \
  extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {                        \
    fuzz_target(tmpdump::fuzz::Input({reinterpret_cast<const std::byte*>(data), size}));                     \
    return 0;                                                                                                \
  }                                                                                                          \
  static void fuzz_target([[maybe_unused]] tmpdump::fuzz::Input input)
#else
// NOLINTNEXTLINE(cppcoreguidelines-macro-usage)
#define FUZZ_TARGET(name)                                                                                    \
  static void fuzz_target(tmpdump::fuzz::Input input);                                                       \
  static const tmpdump::fuzz::Registration registration(#name, fuzz_target);                                 \
  static void fuzz_target([[maybe_unused]] tmpdump::fuzz::Input input)
#endif
