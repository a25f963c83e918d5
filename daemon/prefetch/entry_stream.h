// SPDX-License-Identifier: Apache-2.0
// One entry of the archive, from the bytes of its region to a verified, published file.
#pragma once

#include "base/bytes.h"
#include "base/error.h"
#include "decode/decoder.h"
#include "output/destination.h"
#include "zip/directory.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace tmpdump::prefetch {

// Takes the region's bytes in order, in pieces of any size: local header, data, data descriptor. Checks the
// header against the directory, counts and checksums what comes out, and publishes only what is whole and
// right. One thread at a time, which may change between calls.
class EntryStream {
public:
  // `entry` and `destination` must outlive the stream.
  EntryStream(const zip::Entry& entry, const output::Destination& destination);
  EntryStream(EntryStream&&) = delete;
  EntryStream& operator=(EntryStream&&) = delete;
  ~EntryStream();

  // `scratch` is the thread's output buffer. True: the entry is complete; further bytes are not wanted. A
  // failure names the entry; nothing of the file stays.
  result<bool> feed(Bytes bytes, MutableBytes scratch);
  // For symlinks, once complete: the target, not yet checked.
  [[nodiscard]] const std::string& symlink_target() const { return target_; }

private:
  enum class Stage { fixed_header, header, data, descriptor, complete };
  result<bool> step(Bytes& bytes, MutableBytes scratch);
  result<void> begin_data();
  result<void> decode(Bytes& bytes, MutableBytes scratch);
  result<void> emit(Bytes bytes);
  result<void> end_data();
  result<void> finish();
  // Moves bytes from the front of `bytes` to held_ until it has `wanted`; true when it has.
  bool hold(Bytes& bytes, std::size_t wanted);

  const zip::Entry& entry_;
  const output::Destination& destination_;
  Stage stage_ = Stage::fixed_header;
  std::string held_; // header or descriptor, until it is whole
  std::size_t header_size_ = 0;
  std::uint64_t compressed_left_ = 0;
  std::uint64_t written_ = 0;
  std::uint32_t crc_ = 0;
  bool stream_finished_ = false;
  std::unique_ptr<decode::Decoder> decoder_; // none for stored entries: their bytes go straight to the file
  std::optional<output::StagedFile> file_;
  std::string target_;
};

} // namespace tmpdump::prefetch
