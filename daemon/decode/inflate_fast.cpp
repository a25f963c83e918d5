// SPDX-License-Identifier: Apache-2.0
// Raw deflate (RFC 1951) by our own engine: the symbols by inflate_loop.h where there is plenty of input and
// of room, everything else here, one symbol at a time, stopping and going on anywhere. As strict as zlib.
//
// Matches refer to up to 32 KiB of what has been put out, and the caller's spans are not ours between two
// calls. So a call's first 32 KiB are decoded behind a copy of the last ones, and copied out; what follows
// goes straight to the caller's span, in which there is history enough by then.
#include "decode/engines.h"
#include "decode/inflate_loop.h"

#include <cstring>
#include <optional>

namespace tmpdump::decode {

namespace {

using deflate::CodeEntry;
using deflate::Cursor;
using deflate::Stop;

constexpr std::size_t history_size = std::size_t{32} * 1024;

class FastInflate final : public Decoder {
public:
  // Leaves tables and window uninitialized: written before they are read.
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-member-init)
  explicit FastInflate(deflate::Loop loop) : loop_(loop) {}

  result<Step> decode(Bytes in, MutableBytes out) override {
    if (wrong_ != nullptr) return failure();
    if (state_ == State::done) return Step{0, 0, true};
    Cursor cursor;
    cursor.in_begin = cursor.in = reinterpret_cast<const std::uint8_t*>(in.data());
    cursor.in_end = cursor.in + in.size();
    cursor.bits = bits_;
    cursor.count = count_;
    const std::size_t produced = put_out(cursor, reinterpret_cast<std::uint8_t*>(out.data()), out.size());
    if (wrong_ != nullptr) return failure();
    bits_ = cursor.bits;
    count_ = cursor.count;
    return Step{static_cast<std::size_t>(cursor.in - cursor.in_begin), produced, state_ == State::done};
  }

private:
  enum class State {
    block,        // a block's first three bits
    stored_size,  // LEN and NLEN
    stored,       // left_ bytes of a stored block
    counts,       // HLIT, HDIST, HCLEN
    precode,      // lengths of the code length code, from have_ on
    code_lengths, // from have_ on
    symbols,      // of a compressed block
    match,        // left_ bytes from distance_ back
    done
  };

  [[nodiscard]] Failure failure() const {
    return {Errc::bad_archive, std::string("corrupt deflate data: ") + wrong_};
  }

  std::size_t put_out(Cursor& cursor, std::uint8_t* out, std::size_t size) {
    std::size_t produced = 0;
    if (window_used_ > 0) {
      while (true) {
        const std::size_t wanted = std::min(history_size, size) - produced;
        if (wanted == 0) break;
        if (window_used_ == window_.size()) {
          std::memcpy(window_.data(), window_.data() + window_used_ - history_size, history_size);
          window_used_ = history_size;
        }
        std::uint8_t* const begin = window_.data() + window_used_;
        cursor.base = window_.data();
        cursor.out = begin;
        cursor.out_end = begin + std::min(wanted, window_.size() - window_used_);
        advance(cursor);
        const auto count = static_cast<std::size_t>(cursor.out - begin);
        if (count > 0) std::memcpy(out + produced, begin, count);
        window_used_ += count;
        produced += count;
        if (cursor.out != cursor.out_end || wrong_ != nullptr) return produced;
      }
      if (produced == size) {
        // No room at all: what needs none may still be done, the end above all.
        cursor.base = window_.data();
        cursor.out = cursor.out_end = window_.data() + window_used_;
        advance(cursor);
        return produced;
      }
    }
    cursor.base = out;
    cursor.out = out + produced;
    cursor.out_end = out + size;
    advance(cursor);
    produced = static_cast<std::size_t>(cursor.out - out);
    window_used_ = std::min(produced, history_size);
    if (window_used_ > 0) std::memcpy(window_.data(), out + produced - window_used_, window_used_);
    return produced;
  }

  // Until input is lacking, the room is used up, the stream has ended, or something is wrong.
  void advance(Cursor& cursor) {
    while (wrong_ == nullptr && state_ != State::done && step(cursor)) {
    }
    if (state_ == State::done || cursor.out == cursor.out_end) cursor.give_back();
  }

  // False: cannot go on without more input or room.
  bool step(Cursor& cursor) {
    switch (state_) {
    case State::block:
      return begin_block(cursor);
    case State::stored_size:
      return read_stored_size(cursor);
    case State::stored:
      return copy_stored(cursor);
    case State::counts:
      return read_counts(cursor);
    case State::precode:
      return read_precode(cursor);
    case State::code_lengths:
      return read_code_lengths(cursor);
    case State::symbols:
      return decode_symbols(cursor);
    case State::match:
      return copy_match(cursor);
    case State::done:
      break;
    }
    return false;
  }

  bool refuse(const char* why) {
    wrong_ = why;
    return false;
  }

  static void top_up(Cursor& cursor) {
    while (cursor.count < 56 && cursor.in != cursor.in_end) {
      cursor.bits |= std::uint64_t{*cursor.in++} << cursor.count;
      cursor.count += 8;
    }
  }
  static bool has(Cursor& cursor, unsigned count) {
    if (cursor.count < count) top_up(cursor);
    return cursor.count >= count;
  }
  static unsigned take(Cursor& cursor, unsigned count) {
    const auto value = static_cast<unsigned>(cursor.bits & ((std::uint64_t{1} << count) - 1));
    cursor.bits >>= count;
    cursor.count -= count;
    return value;
  }

  bool begin_block(Cursor& cursor) {
    if (last_block_) {
      state_ = State::done;
      return false;
    }
    if (!has(cursor, 3)) return false;
    last_block_ = take(cursor, 1) != 0;
    switch (take(cursor, 2)) {
    case 0:
      take(cursor, cursor.count % 8);
      state_ = State::stored_size;
      return true;
    case 1:
      codes_ = &deflate::fixed_codes();
      state_ = State::symbols;
      return true;
    case 2:
      state_ = State::counts;
      return true;
    default:
      return refuse("invalid block type");
    }
  }

  bool read_stored_size(Cursor& cursor) {
    if (!has(cursor, 32)) return false;
    left_ = take(cursor, 16);
    if (take(cursor, 16) != (left_ ^ 0xFFFFU)) return refuse("invalid stored block lengths");
    state_ = State::stored;
    return true;
  }

  bool copy_stored(Cursor& cursor) {
    for (; left_ > 0 && cursor.count > 0 && cursor.out != cursor.out_end; --left_)
      *cursor.out++ = static_cast<std::uint8_t>(take(cursor, 8));
    if (left_ > 0 && cursor.count == 0) {
      const std::size_t count =
          std::min({static_cast<std::size_t>(cursor.in_end - cursor.in),
                    static_cast<std::size_t>(cursor.out_end - cursor.out), std::size_t{left_}});
      if (count > 0) std::memcpy(cursor.out, cursor.in, count);
      cursor.in += count;
      cursor.out += count;
      left_ -= static_cast<unsigned>(count);
    }
    if (left_ > 0) return false;
    state_ = State::block;
    return true;
  }

  bool read_counts(Cursor& cursor) {
    if (!has(cursor, 14)) return false;
    literal_count_ = take(cursor, 5) + 257;
    distance_count_ = take(cursor, 5) + 1;
    precode_count_ = take(cursor, 4) + 4;
    if (literal_count_ > 286 || distance_count_ > 30) return refuse("too many length or distance symbols");
    have_ = 0;
    lengths_.fill(0);
    state_ = State::precode;
    return true;
  }

  bool read_precode(Cursor& cursor) {
    static constexpr std::array<std::uint8_t, 19> order = {16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                                           11, 4,  12, 3, 13, 2, 14, 1, 15};
    for (; have_ < precode_count_; ++have_) {
      if (!has(cursor, 3)) return false;
      lengths_[order[have_]] = static_cast<std::uint8_t>(take(cursor, 3));
    }
    if (const char* wrong = deflate::build_precode(std::span(lengths_).first(order.size()), precode_))
      return refuse(wrong);
    have_ = 0;
    state_ = State::code_lengths;
    return true;
  }

  bool read_code_lengths(Cursor& cursor) {
    const unsigned all = literal_count_ + distance_count_;
    while (have_ < all) {
      // A code of 7 bits at most, and 7 more for how often. Near the input's end fewer may be enough.
      static_cast<void>(has(cursor, 14));
      const CodeEntry entry = precode_[cursor.bits & (precode_.size() - 1)];
      const unsigned symbol = entry >> 16U;
      const unsigned code = entry & 63U;
      const unsigned extra = symbol < 16 ? 0 : symbol == 16 ? 2 : symbol == 17 ? 3 : 7;
      if (cursor.count < code + extra) return false;
      take(cursor, code);
      if (symbol < 16) {
        lengths_[have_++] = static_cast<std::uint8_t>(symbol);
        continue;
      }
      if (symbol == 16 && have_ == 0) return refuse("invalid bit length repeat");
      const std::uint8_t value = symbol == 16 ? lengths_[have_ - 1] : std::uint8_t{0};
      const unsigned times = (symbol == 18 ? 11 : 3) + take(cursor, extra);
      if (times > all - have_) return refuse("invalid bit length repeat");
      std::memset(lengths_.data() + have_, value, times);
      have_ += times;
    }
    if (lengths_[deflate::end_of_block] == 0) return refuse("invalid code -- missing end-of-block");
    const auto lengths = std::span<const std::uint8_t>(lengths_);
    if (const char* wrong = deflate::build_literals(lengths.first(literal_count_), own_codes_.literals))
      return refuse(wrong);
    if (const char* wrong =
            deflate::build_distances(lengths.subspan(literal_count_, distance_count_), own_codes_.distances))
      return refuse(wrong);
    codes_ = &own_codes_;
    state_ = State::symbols;
    return true;
  }

  bool decode_symbols(Cursor& cursor) {
    if (static_cast<std::size_t>(cursor.in_end - cursor.in) >= deflate::in_margin &&
        static_cast<std::size_t>(cursor.out_end - cursor.out) >= deflate::out_margin) {
      switch (loop_(cursor, *codes_)) {
      case Stop::margin:
        break;
      case Stop::block_end:
        state_ = State::block;
        return true;
      case Stop::invalid_literal:
        return refuse("invalid literal/length code");
      case Stop::invalid_distance:
        return refuse("invalid distance code");
      case Stop::too_far:
        return refuse("invalid distance too far back");
      }
    }
    return decode_symbol(cursor);
  }

  // Entries may go by bits that are not there yet: what they say to drop tells it.
  bool decode_symbol(Cursor& cursor) {
    top_up(cursor);
    std::uint64_t bits = cursor.bits;
    unsigned used = 0;
    CodeEntry entry = codes_->literals[low_bits(bits, deflate::literal_bits)];
    if ((entry & deflate::further) != 0 && (entry & deflate::other) != 0) {
      used = deflate::literal_bits;
      bits >>= used;
      entry = codes_->literals[((entry >> 16U) & 0xFFFU) + low_bits(bits, entry >> 28U)];
    }
    if ((entry & deflate::literal) != 0) {
      used += entry & 63U;
      if (used > cursor.count || cursor.out == cursor.out_end) return false;
      *cursor.out++ = static_cast<std::uint8_t>(entry >> 16U);
      take(cursor, used);
      return true;
    }
    const unsigned all = (entry >> 8U) & 63U;
    used += all;
    if (used > cursor.count) return false;
    if ((entry & deflate::other) != 0) {
      if ((entry & deflate::ends) == 0) return refuse("invalid literal/length code");
      take(cursor, used);
      state_ = State::block;
      return true;
    }
    const auto length =
        ((entry >> 16U) & 0x1FFU) + static_cast<unsigned>(low_bits(bits, all) >> (entry >> 28U));
    bits >>= all;
    CodeEntry far = codes_->distances[low_bits(bits, deflate::distance_bits)];
    if ((far & deflate::other) != 0 && (far & deflate::further) != 0) {
      used += deflate::distance_bits;
      bits >>= deflate::distance_bits;
      far = codes_->distances[(far >> 16U) + low_bits(bits, (far >> 8U) & 15U)];
    }
    used += far & 63U;
    if (used > cursor.count) return false;
    if ((far & deflate::other) != 0) return refuse("invalid distance code");
    distance_ = (far >> 16U) + static_cast<unsigned>(low_bits(bits, far & 63U) >> ((far >> 8U) & 15U));
    if (distance_ > static_cast<std::size_t>(cursor.out - cursor.base))
      return refuse("invalid distance too far back");
    take(cursor, used);
    left_ = length;
    state_ = State::match;
    return true;
  }

  static std::uint64_t low_bits(std::uint64_t bits, unsigned count) {
    return bits & ((std::uint64_t{1} << count) - 1);
  }

  bool copy_match(Cursor& cursor) {
    for (; left_ > 0 && cursor.out != cursor.out_end; --left_, ++cursor.out)
      *cursor.out = *(cursor.out - distance_);
    if (left_ > 0) return false;
    state_ = State::symbols;
    return true;
  }

  const deflate::Loop loop_;
  State state_ = State::block;
  const char* wrong_ = nullptr; // sticky
  std::uint64_t bits_ = 0;      // of the beginning of a symbol or header that was not whole
  unsigned count_ = 0;
  bool last_block_ = false;
  unsigned left_ = 0, distance_ = 0;
  unsigned literal_count_ = 0, distance_count_ = 0, precode_count_ = 0, have_ = 0;
  const deflate::Codes* codes_ = nullptr;
  std::size_t window_used_ = 0; // ends with the last bytes put out, all of them or at least 32 KiB
  std::array<std::uint8_t, deflate::literal_symbols + deflate::distance_symbols> lengths_;
  deflate::PrecodeTable precode_;
  deflate::Codes own_codes_;
  std::array<std::uint8_t, 2 * history_size> window_;
};

} // namespace

std::unique_ptr<Decoder> make_fast_inflate(deflate::Loop loop) {
  return std::make_unique<FastInflate>(loop != nullptr ? loop : deflate::loops().back());
}

} // namespace tmpdump::decode
