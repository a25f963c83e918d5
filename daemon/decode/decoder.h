// SPDX-License-Identifier: Apache-2.0
// Streaming decoders: bytes of one entry's data in, bytes of the file out, stopping and going on anywhere.
#pragma once

#include "base/bytes.h"
#include "base/error.h"
#include "zip/directory.h"

#include <cstdint>
#include <memory>

namespace tmpdump::decode {

struct Step {
  std::size_t consumed = 0; // bytes taken from `in`
  std::size_t produced = 0; // bytes written to `out`
  bool finished = false;    // the compressed stream has ended
};

// One stream. Used by one thread at a time, which may change between calls. Corrupt data is
// Errc::bad_archive.
class Decoder {
public:
  virtual ~Decoder() = default;
  // Makes progress whenever there is input left or output pending and `out` is not empty. With empty `in`,
  // drains what is pending. Never reads or writes outside the spans. What was not consumed is offered again
  // with the next call. Input that ends too early is not an error but a stream that never finishes. After a
  // failure every call fails the same way.
  virtual result<Step> decode(Bytes in, MutableBytes out) = 0;
  // From the next call on memory counts less than time: nothing waits to be decoded any more.
  virtual void hurry() {}
  // Bytes of input that it keeps until it has all.
  [[nodiscard]] virtual std::size_t kept() const { return 0; }
};

// A decoder costs up to about 100 KiB (inflate) or the frame's window (zstd, at most `max_zstd_window_log`);
// one of zstd that is given at most `max_gathered_zstd` costs only what it was given until it has all, or is
// told to hurry, and produces nothing until then. `compressed_size` is needed by stored entries and by zstd
// ones (any number of frames), which have no end mark of their own. A deflate stream may end before: bytes
// after it are left unconsumed.
std::unique_ptr<Decoder> make_decoder(zip::Method method, std::uint64_t compressed_size);

// Bytes: the largest segment that `tmpdump pack` makes by itself, if it does not compress.
inline constexpr std::uint64_t max_gathered_zstd = std::uint64_t{15} << 20U;

inline constexpr int max_zstd_window_log =
    25; // 32 MiB; zstd -19 uses 8 MiB, only --long and --ultra -22 more

// What to hand to decode() as `out`. Measured with ISA-L and zstd on a 200 MB library, CRC and pwrite
// included: from 64 KiB to 2 MiB of output and 16 KiB to 8 MiB of input throughput is the same within 5 %.
// Smaller costs system calls and copies of the 32 KiB history, larger leaves a 1 MiB L2 cache.
inline constexpr std::size_t output_buffer_size = std::size_t{256} * 1024;

// Whether `decoder`, of deflate, which has used all it was given, is between two blocks and on a byte: then,
// and only then, an empty last block (RFC 1951, 3.2.4) ends its stream. It is of no use afterwards.
bool is_at_block_boundary(Decoder& decoder);

// What inflates on this processor: "own, BMI2" or "own, portable".
std::string_view inflate_engine();

// CRC-32 (ISO-HDLC, APPNOTE 4.4.7) of `bytes` appended to data whose CRC is `crc`; crc of nothing is 0.
std::uint32_t crc32(std::uint32_t crc, Bytes bytes);

// The CRC-32 of A followed by B, from theirs and the length of B in bytes.
std::uint32_t crc32_combine(std::uint32_t a, std::uint32_t b, std::uint64_t length_of_b);

// Reference engine (zlib) whatever the build, for tests and comparison.
std::unique_ptr<Decoder> make_zlib_inflate();

} // namespace tmpdump::decode
