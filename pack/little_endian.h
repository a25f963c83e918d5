// SPDX-License-Identifier: Apache-2.0
// Little-endian stores, the other direction of base/bytes.h.
#pragma once

#include <cstdint>
#include <string>

namespace tmpdump::pack {

template <class T>
void append_le(std::string& out, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i)
    out.push_back(static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * i) & 0xFFU));
}
inline void append_le16(std::string& out, std::uint16_t value) {
  append_le(out, value);
}
inline void append_le32(std::string& out, std::uint32_t value) {
  append_le(out, value);
}
inline void append_le64(std::string& out, std::uint64_t value) {
  append_le(out, value);
}

template <class T>
void store_le(std::string& out, std::size_t at, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i)
    out[at + i] = static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * i) & 0xFFU);
}

} // namespace tmpdump::pack
