// SPDX-License-Identifier: Apache-2.0
#include "pack/entry_reader.h"

#include "decode/decoder.h"
#include "pack/text.h"

#include <zstd.h>

#include <algorithm>

namespace tmpdump::pack {

namespace {

constexpr std::uint16_t segments_id = 0x5444;
constexpr std::size_t index_fixed_size = 12;
constexpr std::uint32_t min_segment_bytes = 65536, max_segment_bytes = 1073741824, max_segments = 4096;
constexpr std::size_t input_size = std::size_t{1} << 20U;
constexpr std::size_t max_descriptor = 24; // APPNOTE 4.3.9

Failure bad(std::string why) {
  return {Errc::bad_archive, std::move(why)};
}

result<SegmentIndex> parse_index(Bytes field, const zip::Entry& entry) {
  if (field.size() < index_fixed_size) return bad("its index of segments is cut off");
  SegmentIndex index;
  index.header_bytes = load_le16(field, 2);
  index.segment_bytes = load_le32(field, 4);
  const std::uint32_t count = load_le32(field, 8);
  if (field[1] != std::byte{0}) return bad("its index of segments: the reserved byte is not 0");
  if (entry.method == zip::Method::stored || entry.kind != zip::Kind::file)
    return bad("it has an index of segments, but is no compressed file");
  if (index.segment_bytes < min_segment_bytes || index.segment_bytes > max_segment_bytes)
    return bad("its index of segments: segments of " + std::to_string(index.segment_bytes) + " bytes");
  if (count < 2 || count > max_segments || field.size() != index_fixed_size + std::size_t{4} * count)
    return bad("its index of segments: a wrong count");
  if (count != entry.size / index.segment_bytes + (entry.size % index.segment_bytes != 0 ? 1 : 0))
    return bad("its index of segments: the count does not fit the entry's size");
  std::uint64_t sum = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    index.packed_sizes.push_back(load_le32(field, index_fixed_size + std::size_t{4} * i));
    if (index.packed_sizes.back() == 0) return bad("its index of segments: an empty segment");
    sum += index.packed_sizes.back();
  }
  if (sum != entry.compressed_size)
    return bad("its index of segments: the sizes do not add up to the entry's compressed size");
  return index;
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
  return last ? result<void>{} : check_flush(segment);
}

result<void> read_segments(const ArchiveFile& archive, const FullEntry& full, std::uint64_t at,
                           const Sink& sink) {
  const auto& sizes = full.index->packed_sizes;
  std::uint64_t left = full.entry.size;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const std::uint64_t share = std::min<std::uint64_t>(left, full.index->segment_bytes);
    std::vector<std::byte> packed(sizes[i]);
    TMPDUMP_CHECK(archive.read_at(at, packed));
    const auto done = read_segment(packed, full.entry, share, i + 1 == sizes.size(), sink);
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

result<void> read_checked(const ArchiveFile& archive, const FullEntry& full, const Sink& sink) {
  const zip::Entry& entry = full.entry;
  TMPDUMP_TRY(const std::size_t header, check_header(archive, full));
  TMPDUMP_TRY(const std::uint64_t data_end, zip::data_end(entry, header));
  if (entry.kind == zip::Kind::directory) return {};
  std::uint32_t crc = 0;
  const Sink counting = [&](Bytes bytes) {
    crc = decode::crc32(crc, bytes);
    return sink(bytes);
  };
  const std::uint64_t at = data_end - entry.compressed_size;
  TMPDUMP_CHECK(full.index ? read_segments(archive, full, at, counting)
                           : read_whole(archive, entry, at, counting));
  if (crc != entry.crc) return bad("wrong CRC-32");
  return check_descriptor(archive, entry, data_end);
}

} // namespace

result<std::optional<SegmentIndex>> read_segment_index(Bytes extra, const zip::Entry& entry) {
  std::optional<SegmentIndex> found;
  while (extra.size() >= 4) {
    const std::uint16_t id = load_le16(extra, 0);
    const std::size_t length = load_le16(extra, 2);
    if (length > extra.size() - 4) return bad("its extra field is cut off");
    const Bytes field = extra.subspan(4, length);
    extra = extra.subspan(4 + length);
    if (id != segments_id || field.empty() || field[0] != std::byte{1}) continue;
    if (found) return bad("it has two indexes of segments");
    TMPDUMP_TRY(found, parse_index(field, entry));
  }
  return found;
}

result<std::vector<FullEntry>> read_entries(const ArchiveFile& archive) {
  TMPDUMP_TRY(zip::Directory directory, archive.directory());
  TMPDUMP_TRY(const auto headers, archive.headers());
  std::vector<FullEntry> entries;
  entries.reserve(directory.entries.size());
  auto next = directory.entries.begin();
  for (const CentralHeader& header : headers) {
    // The root's own entry ("./") is in the headers alone.
    if (next == directory.entries.end() || next->raw_name != header.name) continue;
    auto index = read_segment_index(header.extra, *next);
    if (!index) return index.error().within(quote(archive.path()) + ": entry " + quote(next->path));
    entries.push_back({std::move(*next), header, std::move(*index)});
    ++next;
  }
  return entries;
}

result<std::size_t> check_header(const ArchiveFile& archive, const FullEntry& full) {
  const zip::Entry& entry = full.entry;
  std::vector<std::byte> header(zip::local_header_fixed_size);
  TMPDUMP_CHECK(archive.read_at(entry.local_header_offset, header));
  TMPDUMP_TRY(const std::size_t size, zip::local_header_size(header, entry));
  header.resize(size);
  TMPDUMP_CHECK(archive.read_at(entry.local_header_offset, header));
  TMPDUMP_CHECK(zip::check_local_header(header, entry));
  if (full.index && full.index->header_bytes != size)
    return bad("its local header is not as long as its index of segments says");
  return size;
}

result<void> read_content(const ArchiveFile& archive, const FullEntry& full, const Sink& sink) {
  const auto done = read_checked(archive, full, sink);
  if (!done && done.error().message.find(printable(full.entry.path)) == std::string::npos) {
    return done.error().within("entry " + quote(full.entry.path));
  }
  return done;
}

result<std::string> read_text(const ArchiveFile& archive, const FullEntry& full, std::size_t limit) {
  if (full.entry.size > limit)
    return bad("entry " + quote(full.entry.path) + ": longer than " + std::to_string(limit) + " bytes");
  std::string text;
  TMPDUMP_CHECK(read_content(archive, full, [&](Bytes bytes) {
    text.append(text_of(bytes));
    return result<void>{};
  }));
  return text;
}

} // namespace tmpdump::pack
