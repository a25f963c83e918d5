// SPDX-License-Identifier: Apache-2.0
// Method 0: the data is the file. It has no end mark; the directory's size is the end.
#include "decode/engines.h"

#include <cstring>

namespace tmpdump::decode {

namespace {

class Stored final : public Decoder {
public:
  explicit Stored(std::uint64_t size) : left_(size) {}

  result<Step> decode(Bytes in, MutableBytes out) override {
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(left_, SIZE_MAX));
    const std::size_t count = std::min({in.size(), out.size(), wanted});
    if (count > 0) std::memcpy(out.data(), in.data(), count);
    left_ -= count;
    return Step{count, count, left_ == 0};
  }

private:
  std::uint64_t left_; // bytes
};

} // namespace

std::unique_ptr<Decoder> make_stored(std::uint64_t compressed_size) {
  return std::make_unique<Stored>(compressed_size);
}

} // namespace tmpdump::decode
