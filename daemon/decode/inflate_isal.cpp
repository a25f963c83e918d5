// SPDX-License-Identifier: Apache-2.0
// Raw deflate (RFC 1951) by ISA-L's igzip, about twice as fast as zlib: what our own engine is measured
// against (bench_inflate).
//
// How igzip differs from zlib, and what follows here:
// - It loads up to 8 input bytes ahead into `read_in`. Bytes behind the stream's end are not ours to take:
//   they go back as described at give_back().
// - isal_inflate() returns ISAL_DECOMP_OK both for "more input, please" and for "out is full".
// - Output of a step is first decoded into a 64 KiB buffer inside the state, so a step may end with output
//   pending: ISAL_BLOCK_INPUT_DONE is the end of the input, ISAL_BLOCK_FINISH that of the output too.
// - It accepts incomplete Huffman codes, which RFC 1951 and zlib refuse; the entry's CRC decides then.
#include "decode/engines.h"

#include <isa-l.h>

#include <optional>

namespace tmpdump::decode {

namespace {

const char* reason(int status) {
  switch (status) {
  case ISAL_INVALID_BLOCK:
    return "invalid block header";
  case ISAL_INVALID_SYMBOL:
    return "invalid code";
  case ISAL_INVALID_LOOKBACK:
    return "distance too far back";
  default:
    return "unknown error";
  }
}

class IsalInflate final : public Decoder {
public:
  // Leaves the 80 KiB of tables and buffer uninitialized: igzip writes before it reads.
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-member-init)
  IsalInflate() { isal_inflate_init(&state_); }

  result<Step> decode(Bytes in, MutableBytes out) override {
    if (failure_) return *failure_;
    if (state_.block_state == ISAL_BLOCK_FINISH) return Step{0, 0, true};
    const std::uint32_t in_size = step_size(in.size());
    const std::uint32_t out_size = step_size(out.size());
    state_.next_in = reinterpret_cast<std::uint8_t*>(const_cast<std::byte*>(in.data())); // only read
    state_.avail_in = in_size;
    state_.next_out = reinterpret_cast<std::uint8_t*>(out.data());
    state_.avail_out = out_size;
    if (const int status = isal_inflate(&state_); status != ISAL_DECOMP_OK) {
      failure_ = Failure{Errc::bad_archive, std::string("corrupt deflate data: ") + reason(status)};
      return *failure_;
    }
    give_back(in_size);
    const bool finished = state_.block_state == ISAL_BLOCK_FINISH;
    return Step{in_size - state_.avail_in, out_size - state_.avail_out, finished};
  }

private:
  // Whole bytes left in read_in return to the input when the step ended for another reason than a lack of
  // input: the stream may end before them. All of them came with this step: at most 7 bits, or an
  // incomplete symbol that this step's first byte continued, were there before. When input is lacking, the
  // bytes are the beginning of a symbol or header and so belong to the stream; those of a header must stay,
  // because what followed them is in igzip's own input buffer.
  void give_back(std::uint32_t in_size) {
    const bool input_done =
        state_.block_state == ISAL_BLOCK_INPUT_DONE || state_.block_state == ISAL_BLOCK_FINISH;
    if (state_.block_state == ISAL_BLOCK_HDR || (!input_done && state_.avail_out > 0)) return;
    const std::uint32_t taken = in_size - state_.avail_in;
    const std::uint32_t ahead =
        std::min(static_cast<std::uint32_t>(std::max(state_.read_in_length, 0)) / 8, taken);
    state_.next_in -= ahead;
    state_.avail_in += ahead;
    state_.read_in_length -= static_cast<std::int32_t>(8 * ahead);
    // igzip ors the next bytes onto read_in, so nothing may stand above its length.
    if (state_.read_in_length < 64) state_.read_in &= (std::uint64_t{1} << state_.read_in_length) - 1;
  }

  inflate_state state_;
  std::optional<Failure> failure_; // sticky: the state is of no use after an error
};

} // namespace

std::unique_ptr<Decoder> make_isal_inflate() {
  return std::make_unique<IsalInflate>();
}

} // namespace tmpdump::decode
