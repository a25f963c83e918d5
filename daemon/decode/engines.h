// SPDX-License-Identifier: Apache-2.0
// The engines behind make_decoder(), one translation unit each. Internal to this module and its tests.
#pragma once

#include "decode/decoder.h"
#include "decode/inflate_loop.h"

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

namespace tmpdump::decode {

std::unique_ptr<Decoder> make_stored(std::uint64_t compressed_size);
std::unique_ptr<Decoder> make_zstd(std::uint64_t compressed_size);
// `loop`: nullptr is the fastest that runs here.
std::unique_ptr<Decoder> make_fast_inflate(deflate::Loop loop = nullptr);
std::unique_ptr<Decoder> make_isal_inflate(); // only where TMPDUMP_HAVE_ISAL is set

struct InflateEngine {
  std::string name;
  std::function<std::unique_ptr<Decoder>()> make;
};
// All that this build and this processor have, each loop of the fast one among them: for tests and
// benchmarks.
std::vector<InflateEngine> built_engines();

// The C libraries count in 32 bits; a step never takes more of a span than this.
inline constexpr std::size_t max_step = 1U << 30U;

inline std::uint32_t step_size(std::size_t span_size) {
  return static_cast<std::uint32_t>(std::min(span_size, max_step));
}

} // namespace tmpdump::decode
