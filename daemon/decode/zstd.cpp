// SPDX-License-Identifier: Apache-2.0
// Method 93 (APPNOTE 4.4.5): Zstandard, RFC 8878. The data is one or more frames, skippable ones among
// them, up to the directory's compressed size; it has ended where a frame ends exactly there.
#include "decode/engines.h"

#include <zstd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <sys/mman.h>
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

struct Free {
  void operator()(ZSTD_DStream* stream) const { ZSTD_freeDStream(stream); }
};
using Stream = std::unique_ptr<ZSTD_DStream, Free>;

// A stream has its frame's window, 8 MiB of what `tmpdump pack` makes: one that has ended is used again by
// the next decoder of its thread, and goes with the thread. A thread that only drops decoders keeps none.
struct Spare {
  Stream stream;
  bool used = false;
};
Spare& spare_stream() {
  thread_local Spare spare;
  return spare;
}

class Zstd final : public Decoder {
public:
  explicit Zstd(std::uint64_t compressed_size) : left_(compressed_size) {}
  ~Zstd() override {
    if (stream_ && !failure_ && spare_stream().used) spare_stream().stream = std::move(stream_);
  }
  Zstd(const Zstd&) = delete;
  Zstd& operator=(const Zstd&) = delete;

  result<Step> decode(Bytes in, MutableBytes out) override {
    if (!stream_ && !failure_) open();
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
  void open() {
    spare_stream().used = true;
    stream_ = std::move(spare_stream().stream);
    if (!stream_) stream_.reset(ZSTD_createDStream());
    if (!stream_ || ZSTD_isError(ZSTD_DCtx_reset(stream_.get(), ZSTD_reset_session_only)) != 0 ||
        ZSTD_isError(ZSTD_DCtx_setParameter(stream_.get(), ZSTD_d_windowLogMax, max_zstd_window_log)) != 0)
      failure_ = Failure{Errc::io, "out of memory (zstd)"};
  }

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

  Stream stream_;      // from the first call on
  std::uint64_t left_; // bytes of compressed data to come
  std::array<std::byte, 4> magic_{};
  std::size_t magic_size_ = 0;
  bool between_frames_ = false; // not before the first frame: no data at all is not a stream
  bool pending_ = false;        // `out` was full: there may be more without input
  std::optional<Failure> failure_;
};

// What malloc gives back to itself is not gone: with some 5 MiB for each segment of what hardly compresses,
// taken and given by every thread, 40 MiB were nobody's. What is large is the kernel's again at once.
class InputBuffer {
public:
  explicit InputBuffer(std::size_t size) {
    constexpr std::size_t large = std::size_t{2} << 20U;
    if (size <= large) {
      small_.reset(new std::byte[size]);
      return;
    }
    void* const pages = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) throw std::bad_alloc();
    mapped_ = MutableBytes(static_cast<std::byte*>(pages), size);
  }
  ~InputBuffer() {
    if (!mapped_.empty()) (void)::munmap(mapped_.data(), mapped_.size());
  }
  InputBuffer(const InputBuffer&) = delete;
  InputBuffer& operator=(const InputBuffer&) = delete;
  [[nodiscard]] std::byte* data() const { return small_ ? small_.get() : mapped_.data(); }

private:
  std::unique_ptr<std::byte[]> small_;
  MutableBytes mapped_;
};

// Keeps what arrives until all is there, and only then decodes: a segment of 10 MiB that waits for its bytes
// costs the 2 or 3 MiB that it is compressed to, not a window; with as many on their way as there are
// connections that is the difference between 50 and 10 MiB. It begins to decode later, by the few
// milliseconds that a segment takes, which matters to the last ones: those are told to hurry.
class GatheredZstd final : public Decoder {
public:
  explicit GatheredZstd(std::uint64_t compressed_size)
      : zstd_(compressed_size), size_(static_cast<std::size_t>(compressed_size)) {}

  result<Step> decode(Bytes in, MutableBytes out) override {
    in = in.first(std::min(in.size(), size_ - taken_));
    if (taken_ == 0 && in.size() == size_) whole_at_once_ = true;
    if (whole_at_once_) { // nothing to gather
      TMPDUMP_TRY(const Step step, zstd_.decode(in, out));
      taken_ += step.consumed;
      return step;
    }
    if (!in.empty()) {
      if (!gathered_) gathered_.emplace(size_);
      std::memcpy(gathered_->data() + taken_, in.data(), in.size());
      taken_ += in.size();
    }
    if (!gathered_ || (taken_ < size_ && !hurried_)) return Step{in.size(), 0, false};
    TMPDUMP_TRY(const Step step, zstd_.decode(Bytes(gathered_->data(), taken_).subspan(decoded_), out));
    decoded_ += step.consumed;
    return Step{in.size(), step.produced, step.finished};
  }
  void hurry() override { hurried_ = true; }
  [[nodiscard]] std::size_t kept() const override { return gathered_ ? taken_ : 0; }

private:
  Zstd zstd_;
  const std::size_t size_;  // compressed bytes
  std::size_t taken_ = 0;   // of them, from the callers
  std::size_t decoded_ = 0; // of what is gathered
  std::optional<InputBuffer> gathered_;
  bool whole_at_once_ = false;
  bool hurried_ = false;
};

} // namespace

std::unique_ptr<Decoder> make_zstd(std::uint64_t compressed_size) {
  if (compressed_size != 0 && compressed_size <= max_gathered_zstd)
    return std::make_unique<GatheredZstd>(compressed_size);
  return std::make_unique<Zstd>(compressed_size);
}

} // namespace tmpdump::decode
