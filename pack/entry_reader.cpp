// SPDX-License-Identifier: Apache-2.0
#include "pack/entry_reader.h"

#include "decode/decoder.h"
#include "pack/text.h"

#include <zstd.h>

#include <algorithm>

namespace tmpdump::pack {

namespace {

constexpr std::size_t input_size = std::size_t{1} << 20U;
constexpr std::size_t max_descriptor = 24; // APPNOTE 4.3.9

Failure bad(std::string why) {
  return {Errc::bad_archive, std::move(why)};
}

// A stream's decoder, fed until its input is used up, with a count of what came out.
class Pump {
public:
  Pump(const zip::Entry& entry, std::uint64_t packed, std::uint64_t wanted, const Sink& sink)
      : decoder_(entry.method == zip::Method::stored ? nullptr : decode::make_decoder(entry.method, packed)),
        wanted_(wanted), sink_(sink), out_(decode::output_buffer_size) {}

  result<void> feed(Bytes bytes) {
    if (!decoder_) return emit(bytes);
    for (;;) {
      if (finished_) {
        if (!bytes.empty()) return bad("the compressed data end before the compressed size");
        return {};
      }
      TMPDUMP_TRY(const decode::Step step, decoder_->decode(bytes, out_));
      bytes = bytes.subspan(step.consumed);
      finished_ = step.finished;
      TMPDUMP_CHECK(emit(Bytes(out_).first(step.produced)));
      if (!finished_ && bytes.empty() && step.produced < out_.size()) return {};
      if (!finished_ && step.consumed == 0 && step.produced == 0) return bad("the decoder makes no progress");
    }
  }
  // `whole`: the stream must have ended, not only its bytes.
  [[nodiscard]] result<void> end(bool whole) const {
    if (decoder_ && finished_ != whole)
      return bad(whole ? "the compressed data are cut short" : "a segment ends the stream");
    if (made_ != wanted_)
      return bad("decodes to " + std::to_string(made_) + " bytes instead of " + std::to_string(wanted_));
    return {};
  }

  // After end(false): where the next segment begins, to whoever reads the entry as one stream.
  [[nodiscard]] bool is_at_block_boundary() const { return decode::is_at_block_boundary(*decoder_); }

private:
  result<void> emit(Bytes bytes) {
    if (bytes.size() > wanted_ - made_)
      return bad("decodes to more than " + std::to_string(wanted_) + " bytes");
    made_ += bytes.size();
    return bytes.empty() ? result<void>{} : sink_(bytes);
  }

  std::unique_ptr<decode::Decoder> decoder_;
  std::uint64_t wanted_, made_ = 0;
  bool finished_ = false;
  const Sink& sink_;
  std::vector<std::byte> out_;
};

// One segment is one frame that names its content's size (proto/packed.md).
result<void> check_frame(Bytes segment, std::uint64_t share) {
  if (ZSTD_getFrameContentSize(segment.data(), segment.size()) != share)
    return bad("its frame does not name its size");
  if (ZSTD_findFrameCompressedSize(segment.data(), segment.size()) != segment.size())
    return bad("it is not one frame");
  return {};
}

result<void> check_flush(Bytes segment) {
  constexpr std::string_view empty_stored_block("\0\0\xFF\xFF", 4);
  if (!text_of(segment).ends_with(empty_stored_block))
    return bad("it does not end with an empty stored block");
  return {};
}

result<void> read_segment(Bytes segment, const zip::Entry& entry, std::uint64_t share, bool last,
                          const Sink& sink) {
  const bool zstd = entry.method == zip::Method::zstd;
  Pump pump(entry, segment.size(), share, sink);
  TMPDUMP_CHECK(pump.feed(segment));
  TMPDUMP_CHECK(pump.end(zstd || last));
  if (zstd) return check_frame(segment, share);
  if (last) return {};
  TMPDUMP_CHECK(check_flush(segment));
  if (!pump.is_at_block_boundary()) return bad("its data end within a block");
  return {};
}

result<void> read_segments(const ArchiveFile& archive, const zip::Entry& entry, std::uint64_t at,
                           const Sink& sink) {
  const auto& sizes = entry.segments->compressed;
  std::uint64_t left = entry.size;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const std::uint64_t share = std::min<std::uint64_t>(left, entry.segments->segment_bytes);
    std::vector<std::byte> packed(sizes[i]);
    TMPDUMP_CHECK(archive.read_at(at, packed));
    const auto done = read_segment(packed, entry, share, i + 1 == sizes.size(), sink);
    if (!done) return done.error().within("segment " + std::to_string(i));
    at += sizes[i];
    left -= share;
  }
  return {};
}

result<void> read_whole(const ArchiveFile& archive, const zip::Entry& entry, std::uint64_t at,
                        const Sink& sink) {
  Pump pump(entry, entry.compressed_size, entry.size, sink);
  std::vector<std::byte> buffer(
      static_cast<std::size_t>(std::min<std::uint64_t>(entry.compressed_size, input_size)));
  for (std::uint64_t left = entry.compressed_size; left > 0;) {
    const auto now =
        MutableBytes(buffer).first(static_cast<std::size_t>(std::min<std::uint64_t>(left, buffer.size())));
    TMPDUMP_CHECK(archive.read_at(at, now));
    TMPDUMP_CHECK(pump.feed(now));
    at += now.size();
    left -= now.size();
  }
  return pump.end(true);
}

result<void> check_descriptor(const ArchiveFile& archive, const zip::Entry& entry, std::uint64_t data_end) {
  std::vector<std::byte> after(
      static_cast<std::size_t>(std::min<std::uint64_t>(entry.region_end - data_end, max_descriptor)));
  TMPDUMP_CHECK(archive.read_at(data_end, after));
  return zip::check_data_descriptor(after, entry);
}

result<void> read_checked(const ArchiveFile& archive, const zip::Entry& entry, const Sink& sink) {
  TMPDUMP_TRY(const std::size_t header, check_header(archive, entry));
  TMPDUMP_TRY(const std::uint64_t data_end, zip::data_end(entry, header));
  if (entry.kind == zip::Kind::directory) return {};
  std::uint32_t crc = 0;
  const Sink counting = [&](Bytes bytes) {
    crc = decode::crc32(crc, bytes);
    return sink(bytes);
  };
  const std::uint64_t at = data_end - entry.compressed_size;
  TMPDUMP_CHECK(entry.segments ? read_segments(archive, entry, at, counting)
                               : read_whole(archive, entry, at, counting));
  if (crc != entry.crc) return bad("wrong CRC-32");
  return check_descriptor(archive, entry, data_end);
}

} // namespace

result<std::size_t> check_header(const ArchiveFile& archive, const zip::Entry& entry) {
  std::vector<std::byte> header(zip::local_header_fixed_size);
  TMPDUMP_CHECK(archive.read_at(entry.local_header_offset, header));
  TMPDUMP_TRY(const std::size_t size, zip::local_header_size(header, entry));
  header.resize(size);
  TMPDUMP_CHECK(archive.read_at(entry.local_header_offset, header));
  TMPDUMP_CHECK(zip::check_local_header(header, entry));
  if (entry.segments && entry.segments->header_bytes != size)
    return bad("its local header is not as long as its index of segments says");
  return size;
}

result<void> read_content(const ArchiveFile& archive, const zip::Entry& entry, const Sink& sink) {
  auto done = read_checked(archive, entry, sink);
  if (!done && !done.error().message.starts_with("entry ")) { // as what zip/ says does
    return done.error().within("entry " + quote(entry.path));
  }
  return done;
}

result<std::string> read_text(const ArchiveFile& archive, const zip::Entry& entry, std::size_t limit) {
  if (entry.size > limit)
    return bad("entry " + quote(entry.path) + ": longer than " + std::to_string(limit) + " bytes");
  std::string text;
  TMPDUMP_CHECK(read_content(archive, entry, [&](Bytes bytes) {
    text.append(text_of(bytes));
    return result<void>{};
  }));
  return text;
}

} // namespace tmpdump::pack
