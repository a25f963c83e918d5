// SPDX-License-Identifier: Apache-2.0
#include "prefetch/part_stream.h"

#include <algorithm>

namespace tmpdump::prefetch {

namespace {

// A data descriptor has at most 24 bytes: signature, CRC, two 64-bit sizes (APPNOTE 4.3.9).
constexpr std::uint64_t max_descriptor = 24;
constexpr std::uint16_t has_descriptor = 1U << 3U;

Failure corrupt(const std::string& what) {
  return {Errc::bad_archive, what};
}

} // namespace

PartStream::PartStream(const zip::Entry& entry, const Part& part, std::shared_ptr<EntryOutput> output)
    : entry_(entry), part_(part), output_(std::move(output)),
      stage_(part.first ? Stage::fixed_header : Stage::begin) {
  if (entry.segments) header_size_ = entry.segments->header_bytes;
}
PartStream::~PartStream() = default;

result<bool> PartStream::feed(Bytes bytes, MutableBytes scratch) {
  while (stage_ != Stage::complete) {
    auto moved = step(bytes, scratch);
    if (!moved) return moved.error().within("entry '" + printable(entry_.path) + "'");
    if (!*moved) break; // needs more bytes
  }
  return stage_ == Stage::complete;
}

// True: went to the next stage. False: all bytes are used up.
result<bool> PartStream::step(Bytes& bytes, MutableBytes scratch) {
  switch (stage_) {
  case Stage::fixed_header: {
    if (!hold(bytes, zip::local_header_fixed_size)) return false;
    TMPDUMP_TRY(header_size_, zip::local_header_size(bytes_of(held_), entry_));
    if (entry_.segments && entry_.segments->header_bytes != header_size_) {
      return corrupt("its local header is not as long as its index of segments says; pack the archive again");
    }
    stage_ = Stage::header;
    return true;
  }
  case Stage::header: {
    if (!hold(bytes, header_size_)) return false;
    TMPDUMP_CHECK(zip::check_local_header(bytes_of(held_), entry_));
    TMPDUMP_CHECK(zip::data_end(entry_, header_size_));
    held_.clear();
    held_.shrink_to_fit();
    stage_ = Stage::begin;
    return true;
  }
  case Stage::begin: {
    TMPDUMP_CHECK(begin_data());
    stage_ = Stage::data;
    return true;
  }
  case Stage::data: {
    if (compressed_left_ > 0) {
      if (bytes.empty()) return false;
      Bytes now =
          bytes.first(static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), compressed_left_)));
      const std::size_t offered = now.size();
      TMPDUMP_CHECK(decode(now, scratch));
      compressed_left_ -= offered;
      bytes = bytes.subspan(offered);
      if (compressed_left_ > 0) return false;
    }
    TMPDUMP_CHECK(end_data());
    stage_ = part_.last && (entry_.flags & has_descriptor) != 0 ? Stage::descriptor : Stage::finish;
    return true;
  }
  case Stage::descriptor: {
    TMPDUMP_TRY(const std::uint64_t data_end, zip::data_end(entry_, header_size_));
    const auto room = std::min(max_descriptor, entry_.region_end - data_end);
    if (!hold(bytes, static_cast<std::size_t>(room))) return false;
    TMPDUMP_CHECK(zip::check_data_descriptor(bytes_of(held_), entry_));
    held_.clear();
    stage_ = Stage::finish;
    return true;
  }
  case Stage::finish: {
    TMPDUMP_TRY(published_, output_->finish(part_, crc_));
    output_.reset();
    stage_ = Stage::complete;
    return true;
  }
  case Stage::complete:
    break;
  }
  return false;
}

bool PartStream::hold(Bytes& bytes, std::size_t wanted) {
  if (held_.size() < wanted) {
    const std::size_t taken = std::min(bytes.size(), wanted - held_.size());
    held_.append(text_of(bytes.first(taken)));
    bytes = bytes.subspan(taken);
  }
  return held_.size() >= wanted;
}

result<void> PartStream::begin_data() {
  compressed_left_ = part_.compressed;
  if (entry_.kind == zip::Kind::symlink && entry_.size > zip::max_symlink_target) {
    return corrupt("the symlink's target has " + std::to_string(entry_.size) + " bytes, more than " +
                   std::to_string(zip::max_symlink_target));
  }
  TMPDUMP_CHECK(output_->open());
  if (entry_.method != zip::Method::stored) decoder_ = decode::make_decoder(entry_.method, part_.compressed);
  if (decoder_ && hurried_) decoder_->hurry();
  return {};
}

void PartStream::hurry() {
  hurried_ = true;
  if (decoder_) decoder_->hurry();
}

// Uses all of `bytes`, or fails.
result<void> PartStream::decode(Bytes& bytes, MutableBytes scratch) {
  if (!decoder_) return emit(bytes);
  std::size_t fill = 0;
  for (;;) {
    if (stream_finished_) {
      if (!bytes.empty()) return corrupt("the compressed data end before the compressed size");
      break;
    }
    TMPDUMP_TRY(const decode::Step step, decoder_->decode(bytes, scratch.subspan(fill)));
    bytes = bytes.subspan(step.consumed);
    fill += step.produced;
    stream_finished_ = step.finished;
    if (written_ + fill > part_.size) {
      return corrupt("decodes to more than its size, " + std::to_string(part_.size) + " bytes");
    }
    if (fill == scratch.size()) {
      TMPDUMP_CHECK(emit(scratch.first(fill)));
      fill = 0;
      continue;
    }
    // Room was left in the scratch: the decoder has used all of its input and holds nothing back.
    if (!stream_finished_ && bytes.empty()) break;
    if (!stream_finished_ && step.consumed == 0 && step.produced == 0)
      return corrupt("the decoder makes no progress");
  }
  return emit(scratch.first(fill));
}

result<void> PartStream::emit(Bytes bytes) {
  if (bytes.empty()) return {};
  if (bytes.size() > part_.size - written_) {
    return corrupt("decodes to more than its size, " + std::to_string(part_.size) + " bytes");
  }
  crc_ = decode::crc32(crc_, bytes);
  TMPDUMP_CHECK(output_->write(part_.offset + written_, bytes));
  written_ += bytes.size();
  return {};
}

result<void> PartStream::end_data() {
  if (decoder_) {
    // A segment of deflate ends at the boundary of a block, but the stream goes on (proto/packed.md).
    const bool must_finish = part_.last || entry_.method != zip::Method::deflate;
    if (must_finish && !stream_finished_) return corrupt("the compressed data are cut short");
    if (!must_finish && stream_finished_) return corrupt("the compressed data end within a segment");
    // Who reads the entry as one stream must find the next segment where we do.
    if (!must_finish && !decode::is_at_block_boundary(*decoder_))
      return corrupt("a segment's data end within a block; pack the archive again");
    decoder_.reset();
  }
  if (written_ != part_.size) {
    return corrupt("decodes to " + std::to_string(written_) + " bytes, its size says " +
                   std::to_string(part_.size));
  }
  return {};
}

} // namespace tmpdump::prefetch
