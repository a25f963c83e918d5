// SPDX-License-Identifier: Apache-2.0
// Method 93 (APPNOTE 4.4.5): Zstandard, RFC 8878. The data is one or more frames, skippable ones among
// them, up to the directory's compressed size; it has ended where a frame ends exactly there.
#include "decode/engines.h"

#include <zstd.h>

#include <array>
#include <cstring>
#include <optional>
#include <zstd_errors.h>

namespace tmpdump::decode {

namespace {

// RFC 8878, 3.1.1 and 3.1.2. libzstd may also be built with the formats of before version 1.0, whose
// decoders nobody maintains: they are not reached.
bool known_magic(Bytes magic) {
  const std::uint32_t value = load_le32(magic, 0);
  return value == 0xFD2FB528U || (value & 0xFFFFFFF0U) == 0x184D2A50U;
}

Failure not_a_frame() {
  return {Errc::bad_archive, "corrupt zstd data: not a frame of RFC 8878"};
}

class Zstd final : public Decoder {
public:
  explicit Zstd(std::uint64_t compressed_size) : stream_(ZSTD_createDStream()), left_(compressed_size) {
    if (!stream_ ||
        ZSTD_isError(ZSTD_DCtx_setParameter(stream_.get(), ZSTD_d_windowLogMax, max_zstd_window_log)) != 0)
      failure_ = Failure{Errc::io, "out of memory (zstd)"};
  }

  result<Step> decode(Bytes in, MutableBytes out) override {
    if (failure_) return *failure_;
    in = in.first(static_cast<std::size_t>(std::min<std::uint64_t>(in.size(), left_)));
    ZSTD_inBuffer input{in.data(), in.size(), 0};
    ZSTD_outBuffer output{out.data(), out.size(), 0};
    // One call ends at the latest with its frame. A call that cannot move (no input, nothing pending, no
    // room) would count as an error to libzstd.
    while (output.pos < output.size && (input.pos < input.size || pending_)) {
      if (!check_magic(in.subspan(input.pos))) return *failure_;
      const std::size_t status = ZSTD_decompressStream(stream_.get(), &output, &input);
      if (ZSTD_isError(status) != 0) return fail(status);
      between_frames_ = status == 0;
      if (between_frames_) magic_size_ = 0;
      pending_ = !between_frames_ && output.pos == output.size;
    }
    left_ -= input.pos;
    return Step{input.pos, output.pos, left_ == 0 && between_frames_};
  }

private:
  // Sees a frame's first four bytes before libzstd does, however they are cut.
  bool check_magic(Bytes next) {
    const std::size_t count = std::min(magic_.size() - magic_size_, next.size());
    if (count == 0) return true;
    std::memcpy(magic_.data() + magic_size_, next.data(), count);
    magic_size_ += count;
    if (magic_size_ < magic_.size() || known_magic(magic_)) return true;
    failure_ = not_a_frame();
    return false;
  }

  Failure fail(std::size_t status) {
    switch (ZSTD_getErrorCode(status)) {
    case ZSTD_error_memory_allocation:
      failure_ = Failure{Errc::io, "out of memory (zstd)"};
      break;
    case ZSTD_error_frameParameter_windowTooLarge:
      failure_ =
          Failure{Errc::bad_archive, "zstd window of more than 32 MiB: compress without --long or --ultra"};
      break;
    case ZSTD_error_prefix_unknown: // libzstd may see it before the fourth byte
      failure_ = not_a_frame();
      break;
    default:
      failure_ = Failure{Errc::bad_archive, std::string("corrupt zstd data: ") + ZSTD_getErrorName(status)};
    }
    return *failure_;
  }

  struct Free {
    void operator()(ZSTD_DStream* stream) const { ZSTD_freeDStream(stream); }
  };
  std::unique_ptr<ZSTD_DStream, Free> stream_;
  std::uint64_t left_; // bytes of compressed data to come
  std::array<std::byte, 4> magic_{};
  std::size_t magic_size_ = 0;
  bool between_frames_ = false; // not before the first frame: no data at all is not a stream
  bool pending_ = false;        // `out` was full: there may be more without input
  std::optional<Failure> failure_;
};

} // namespace

std::unique_ptr<Decoder> make_zstd(std::uint64_t compressed_size) {
  return std::make_unique<Zstd>(compressed_size);
}

} // namespace tmpdump::decode
