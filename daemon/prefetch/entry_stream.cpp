// SPDX-License-Identifier: Apache-2.0
#include "prefetch/entry_stream.h"

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

EntryStream::EntryStream(const zip::Entry& entry, const output::Destination& destination)
    : entry_(entry), destination_(destination) {}
EntryStream::~EntryStream() = default;

result<bool> EntryStream::feed(Bytes bytes, MutableBytes scratch) {
  while (stage_ != Stage::complete) {
    auto moved = step(bytes, scratch);
    if (!moved) {
      file_.reset();
      return moved.error().within("entry '" + printable(entry_.path) + "'");
    }
    if (!*moved) break; // needs more bytes
  }
  return stage_ == Stage::complete;
}

// True: went to the next stage. False: all bytes are used up.
result<bool> EntryStream::step(Bytes& bytes, MutableBytes scratch) {
  switch (stage_) {
  case Stage::fixed_header: {
    if (!hold(bytes, zip::local_header_fixed_size)) return false;
    TMPDUMP_TRY(header_size_, zip::local_header_size(bytes_of(held_), entry_));
    stage_ = Stage::header;
    return true;
  }
  case Stage::header: {
    if (!hold(bytes, header_size_)) return false;
    TMPDUMP_CHECK(zip::check_local_header(bytes_of(held_), entry_));
    TMPDUMP_CHECK(zip::data_end(entry_, header_size_));
    held_.clear();
    held_.shrink_to_fit();
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
    stage_ = (entry_.flags & has_descriptor) != 0 ? Stage::descriptor : Stage::complete;
    if (stage_ == Stage::complete) TMPDUMP_CHECK(finish());
    return true;
  }
  case Stage::descriptor: {
    TMPDUMP_TRY(const std::uint64_t data_end, zip::data_end(entry_, header_size_));
    const auto room = std::min(max_descriptor, entry_.region_end - data_end);
    if (!hold(bytes, static_cast<std::size_t>(room))) return false;
    TMPDUMP_CHECK(zip::check_data_descriptor(bytes_of(held_), entry_));
    held_.clear();
    stage_ = Stage::complete;
    TMPDUMP_CHECK(finish());
    return true;
  }
  case Stage::complete:
    break;
  }
  return false;
}

bool EntryStream::hold(Bytes& bytes, std::size_t wanted) {
  if (held_.size() < wanted) {
    const std::size_t taken = std::min(bytes.size(), wanted - held_.size());
    held_.append(text_of(bytes.first(taken)));
    bytes = bytes.subspan(taken);
  }
  return held_.size() >= wanted;
}

result<void> EntryStream::begin_data() {
  compressed_left_ = entry_.compressed_size;
  if (entry_.kind == zip::Kind::symlink) {
    if (entry_.size > zip::max_symlink_target) {
      return corrupt("the symlink's target has " + std::to_string(entry_.size) + " bytes, more than " +
                     std::to_string(zip::max_symlink_target));
    }
  } else if (entry_.kind == zip::Kind::file) {
    TMPDUMP_TRY(file_, destination_.stage(entry_.path, entry_.mode, entry_.size));
  }
  if (entry_.method != zip::Method::stored)
    decoder_ = decode::make_decoder(entry_.method, entry_.compressed_size);
  return {};
}

// Uses all of `bytes`, or fails.
result<void> EntryStream::decode(Bytes& bytes, MutableBytes scratch) {
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
    if (written_ + fill > entry_.size) {
      return corrupt("decodes to more than its size, " + std::to_string(entry_.size) + " bytes");
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

result<void> EntryStream::emit(Bytes bytes) {
  if (bytes.empty()) return {};
  if (bytes.size() > entry_.size - written_) {
    return corrupt("decodes to more than its size, " + std::to_string(entry_.size) + " bytes");
  }
  crc_ = decode::crc32(crc_, bytes);
  if (file_) {
    TMPDUMP_CHECK(file_->write_at(written_, bytes));
  } else if (entry_.kind == zip::Kind::symlink) {
    target_.append(text_of(bytes));
  }
  written_ += bytes.size();
  return {};
}

result<void> EntryStream::end_data() {
  if (decoder_ && !stream_finished_) return corrupt("the compressed data are cut short");
  decoder_.reset();
  if (written_ != entry_.size) {
    return corrupt("decodes to " + std::to_string(written_) + " bytes, its size says " +
                   std::to_string(entry_.size));
  }
  if (crc_ != entry_.crc) return corrupt("wrong CRC-32: the data are damaged; upload the archive again");
  return {};
}

result<void> EntryStream::finish() {
  // Writable by us until the end: files may still have to be put into it.
  if (entry_.kind == zip::Kind::directory)
    return destination_.make_directory(entry_.path, entry_.mode | 0700U);
  if (!file_) return {};
  TMPDUMP_CHECK(file_->publish());
  file_.reset();
  return {};
}

} // namespace tmpdump::prefetch
