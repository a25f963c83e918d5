// SPDX-License-Identifier: Apache-2.0
// Deflate streams (RFC 1951) bit by bit.
#pragma once

#include <array>
#include <map>
#include <string>

namespace tmpdump::decode::test {

// RFC 1951, 3.1.1: bits from the least significant on; Huffman codes with their first bit first.
class BitWriter {
public:
  BitWriter& bits(unsigned value, unsigned count) {
    for (unsigned i = 0; i < count; ++i)
      bit((value >> i) & 1U);
    return *this;
  }
  BitWriter& code(unsigned value, unsigned length) {
    for (unsigned i = length; i > 0; --i)
      bit((value >> (i - 1)) & 1U);
    return *this;
  }
  // 3.2.6: the fixed code.
  BitWriter& fixed(unsigned symbol) {
    if (symbol < 144) return code(0x30 + symbol, 8);
    if (symbol < 256) return code(0x190 + symbol - 144, 9);
    if (symbol < 280) return code(symbol - 256, 7);
    return code(0xC0 + symbol - 280, 8);
  }
  BitWriter& fixed_distance(unsigned symbol) { return code(symbol, 5); }
  // 3.2.7: a dynamic block's head, with the lengths of the code length code.
  BitWriter& dynamic(unsigned literals, unsigned distances, const std::map<unsigned, unsigned>& lengths) {
    static constexpr std::array<unsigned, 19> order = {16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                                       11, 4,  12, 3, 13, 2, 14, 1, 15};
    bits(1, 1).bits(2, 2).bits(literals - 257, 5).bits(distances - 1, 5).bits(19 - 4, 4);
    for (const unsigned symbol : order) {
      const auto found = lengths.find(symbol);
      bits(found == lengths.end() ? 0 : found->second, 3);
    }
    return *this;
  }
  // Padded: both engines see more input than they need.
  [[nodiscard]] std::string padded() const { return bytes_ + std::string(64, '\0'); }
  [[nodiscard]] const std::string& bytes() const { return bytes_; }

private:
  void bit(unsigned value) {
    if (used_ == 0) bytes_.push_back('\0');
    bytes_.back() = static_cast<char>(static_cast<unsigned char>(bytes_.back()) | (value << used_));
    used_ = (used_ + 1) % 8;
  }
  std::string bytes_;
  unsigned used_ = 0;
};

} // namespace tmpdump::decode::test
