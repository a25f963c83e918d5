// SPDX-License-Identifier: Apache-2.0
#include "pack/codec.h"

#define ZSTD_STATIC_LINKING_ONLY // ZSTD_customMem
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <libdeflate.h>
#include <string>
#include <sys/mman.h>

namespace tmpdump::pack {

namespace {

// 8 MiB, which the reader holds for each frame that is being decoded; all that it accepts (32 MiB,
// decode::max_zstd_window_log) would save 0.1 % of a library that is not cut.
constexpr int max_window_log = 23;

// Level 19 goes through tables of 80 MiB at random: in pages of 2 MiB that costs 11 % less (where the kernel
// gives them, which it may not).
void* allocate_tables(void* /*opaque*/, std::size_t size) {
  constexpr std::size_t huge_page = std::size_t{2} << 20U;
  if (size < 2 * huge_page) return std::malloc(size);
  const std::size_t rounded = (size + huge_page - 1) / huge_page * huge_page;
  void* const place = std::aligned_alloc(huge_page, rounded);
  if (place != nullptr) (void)::madvise(place, rounded, MADV_HUGEPAGE);
  return place;
}
void free_tables(void* /*opaque*/, void* place) {
  std::free(place);
}

class Zstd final : public Codec {
public:
  explicit Zstd(int level) : context_(ZSTD_createCCtx_advanced({allocate_tables, free_tables, nullptr})) {
    if (!context_) return;
    ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_compressionLevel, level);
    ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_contentSizeFlag, 1);
    ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_checksumFlag, 0); // zip's CRC-32 is the check
  }

  result<Buffer> compress(Bytes segment, bool /*last*/) override {
    if (!context_) return Failure{Errc::io, "out of memory (zstd)"};
    // Levels above 19 would choose windows for the file that they do not know; a segment needs no more than
    // itself.
    const ZSTD_bounds bounds = ZSTD_cParam_getBounds(ZSTD_c_windowLog);
    int window = bounds.lowerBound;
    while (window < max_window_log && (std::uint64_t{1} << static_cast<unsigned>(window)) < segment.size())
      ++window;
    ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_windowLog, window);
    // One buffer for all segments: what a new one would cost in pages is a tenth of level 9.
    if (const std::size_t bound = ZSTD_compressBound(segment.size()); scratch_.size() < bound)
      scratch_.resize(bound);
    const std::size_t size =
        ZSTD_compress2(context_.get(), scratch_.data(), scratch_.size(), segment.data(), segment.size());
    if (ZSTD_isError(size) != 0) return Failure{Errc::io, std::string("zstd: ") + ZSTD_getErrorName(size)};
    return Buffer(scratch_.begin(), scratch_.begin() + static_cast<std::ptrdiff_t>(size));
  }

private:
  struct Free {
    void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  };
  std::unique_ptr<ZSTD_CCtx, Free> context_;
  Buffer scratch_;
};

class Deflate final : public Codec {
public:
  explicit Deflate(int level) : compressor_(libdeflate_alloc_compressor(level)) {}

  result<Buffer> compress(Bytes segment, bool last) override {
    if (!compressor_) return Failure{Errc::io, "out of memory (libdeflate)"};
    Buffer out(libdeflate_deflate_compress_bound(compressor_.get(), segment.size()));
    const std::size_t size = libdeflate_deflate_compress(compressor_.get(), segment.data(), segment.size(),
                                                         out.data(), out.size());
    if (size == 0) return Failure{Errc::io, "libdeflate could not compress"};
    out.resize(size);
    if (!last) TMPDUMP_CHECK(make_continuable(out));
    return out;
  }

private:
  struct Free {
    void operator()(libdeflate_compressor* compressor) const { libdeflate_free_compressor(compressor); }
  };
  std::unique_ptr<libdeflate_compressor, Free> compressor_;
};

// Where the last block begins and ends, in bits from the stream's start.
struct LastBlock {
  std::size_t begin = 0;
  std::size_t end = 0;
};

// zlib's inflate with Z_BLOCK stops at each boundary between blocks and tells in data_type how many bits of
// the last byte it has not used (bits 0 to 2), whether the block before was the last (64), and that this is a
// boundary (128).
result<LastBlock> find_last_block(Bytes stream) {
  z_stream inflater{};
  if (inflateInit2(&inflater, -15) != Z_OK) return Failure{Errc::io, "out of memory (zlib)"};
  const std::unique_ptr<z_stream, void (*)(z_stream*)> end(&inflater,
                                                           [](z_stream* s) { (void)inflateEnd(s); });
  // zlib's interface is not const; it does not write there.
  inflater.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(stream.data()));
  std::size_t left = stream.size();
  std::array<Bytef, std::size_t{64} * 1024> ignored{};
  LastBlock found;
  for (;;) {
    if (inflater.avail_in == 0) {
      inflater.avail_in = static_cast<uInt>(std::min<std::size_t>(left, std::size_t{1} << 30U));
      left -= inflater.avail_in;
    }
    inflater.next_out = ignored.data();
    inflater.avail_out = static_cast<uInt>(ignored.size());
    const int status = inflate(&inflater, Z_BLOCK);
    if (status != Z_OK) break; // also Z_STREAM_END: the boundary after the last block was missed
    const auto type = static_cast<unsigned>(inflater.data_type);
    if ((type & 128U) == 0) continue;
    const std::size_t at = inflater.total_in * std::size_t{8} - (type & 7U);
    if ((type & 64U) != 0) {
      found.end = at;
      return found;
    }
    found.begin = at;
  }
  return Failure{Errc::io, "not a whole deflate stream"};
}

} // namespace

result<void> make_continuable(Buffer& stream) {
  TMPDUMP_TRY(const LastBlock block, find_last_block(stream));
  stream[block.begin / 8] &= ~(std::byte{1} << static_cast<int>(block.begin % 8)); // BFINAL, RFC 1951, 3.2.3
  // The empty stored block: three header bits that are 0, zeros up to a byte, LEN = 0, NLEN = ~0.
  const std::size_t used = block.end % 8;
  stream.resize((block.end + 7) / 8);
  if (used != 0) stream.back() &= static_cast<std::byte>((1U << used) - 1U);
  if (used == 0 || used > 5) stream.push_back(std::byte{0});
  for (const int byte : {0x00, 0x00, 0xFF, 0xFF})
    stream.push_back(static_cast<std::byte>(byte));
  return {};
}

std::unique_ptr<Codec> make_codec(zip::Method method, int level) {
  if (method == zip::Method::deflate) return std::make_unique<Deflate>(level);
  return std::make_unique<Zstd>(level);
}

} // namespace tmpdump::pack
