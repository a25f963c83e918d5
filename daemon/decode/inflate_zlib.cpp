// SPDX-License-Identifier: Apache-2.0
// Raw deflate (RFC 1951) by zlib: the reference.
#define ZLIB_CONST // next_in points to const
#include "decode/engines.h"

#include <zlib.h>

#include <optional>

namespace tmpdump::decode {

namespace {

class ZlibInflate final : public Decoder {
public:
  ZlibInflate() {
    // Negative: raw deflate, 32 KiB window. It can only fail for want of memory, or a foreign libz.
    if (inflateInit2(&stream_, -MAX_WBITS) != Z_OK) failure_ = Failure{Errc::io, "out of memory (zlib)"};
  }
  ZlibInflate(const ZlibInflate&) = delete;
  ZlibInflate& operator=(const ZlibInflate&) = delete;
  ~ZlibInflate() override { inflateEnd(&stream_); }

  result<Step> decode(Bytes in, MutableBytes out) override {
    if (failure_) return *failure_;
    if (finished_) return Step{0, 0, true};
    const uInt in_size = step_size(in.size());
    const uInt out_size = step_size(out.size());
    Bytef nowhere = 0; // zlib refuses a null next_out even when there is nothing to write
    stream_.next_in = reinterpret_cast<const Bytef*>(in.data());
    stream_.avail_in = in_size;
    stream_.next_out = out.empty() ? &nowhere : reinterpret_cast<Bytef*>(out.data());
    stream_.avail_out = out_size;
    switch (const int status = inflate(&stream_, Z_NO_FLUSH)) {
    case Z_STREAM_END:
      finished_ = true;
      break;
    case Z_OK:
    case Z_BUF_ERROR: // no progress without more input or room: not an error
      break;
    case Z_MEM_ERROR:
      failure_ = Failure{Errc::io, "out of memory (zlib)"};
      return *failure_;
    default:
      failure_ = Failure{Errc::bad_archive, "corrupt deflate data"};
      if (stream_.msg != nullptr)
        failure_->message.append(": ").append(stream_.msg);
      else
        failure_->message.append(": zlib status ").append(std::to_string(status));
      return *failure_;
    }
    return Step{in_size - stream_.avail_in, out_size - stream_.avail_out, finished_};
  }

private:
  z_stream stream_{};
  bool finished_ = false;
  std::optional<Failure> failure_; // sticky: zlib's state is of no use after an error
};

} // namespace

std::unique_ptr<Decoder> make_zlib_inflate() {
  return std::make_unique<ZlibInflate>();
}

} // namespace tmpdump::decode
