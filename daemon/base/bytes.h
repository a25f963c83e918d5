// SPDX-License-Identifier: Apache-2.0
// Byte views and little-endian loads; every load is from a span whose length the caller has checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace tmpdump {

using Bytes = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;

inline Bytes bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}
inline std::string_view text_of(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

template <class T>
T load_le(Bytes bytes, std::size_t offset) {
  static_assert(sizeof(T) <= 8);
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    value =
        static_cast<T>(value | (static_cast<T>(std::to_integer<std::uint8_t>(bytes[offset + i])) << (8 * i)));
  }
  return value;
}
inline std::uint16_t load_le16(Bytes b, std::size_t at) {
  return load_le<std::uint16_t>(b, at);
}
inline std::uint32_t load_le32(Bytes b, std::size_t at) {
  return load_le<std::uint32_t>(b, at);
}
inline std::uint64_t load_le64(Bytes b, std::size_t at) {
  return load_le<std::uint64_t>(b, at);
}

// a + b, or false when it does not fit: sizes from outside are never added unchecked.
inline bool checked_add(std::uint64_t a, std::uint64_t b, std::uint64_t& sum) {
  return !__builtin_add_overflow(a, b, &sum);
}

} // namespace tmpdump
