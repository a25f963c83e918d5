// SPDX-License-Identifier: Apache-2.0
// One part of an entry, from the bytes of the archive to bytes in the entry's output.
#pragma once

#include "base/bytes.h"
#include "base/error.h"
#include "decode/decoder.h"
#include "prefetch/entry_output.h"
#include "prefetch/entry_parts.h"
#include "zip/directory.h"

#include <cstdint>
#include <memory>
#include <string>

namespace tmpdump::prefetch {

// Takes the part's bytes in order, in pieces of any size: local header, data, data descriptor. Checks the
// header against the directory, counts and checksums what comes out. One thread at a time, which may change
// between calls.
class PartStream {
public:
  // `entry` must outlive the stream.
  PartStream(const zip::Entry& entry, const Part& part, std::shared_ptr<EntryOutput> output);
  PartStream(PartStream&&) = delete;
  PartStream& operator=(PartStream&&) = delete;
  ~PartStream();

  // `scratch` is the thread's output buffer. True: the part is complete; further bytes are not wanted. A
  // failure names the entry.
  result<bool> feed(Bytes bytes, MutableBytes scratch);
  // Decodes what comes as it comes, for a window's memory: for the last parts.
  void hurry();
  // Bytes of input that are kept until all are there.
  [[nodiscard]] std::size_t kept() const { return decoder_ ? decoder_->kept() : 0; }
  // Once complete: this part was its entry's last, and the entry is in its place.
  [[nodiscard]] bool published() const { return published_; }

private:
  enum class Stage { fixed_header, header, begin, data, descriptor, finish, complete };
  result<bool> step(Bytes& bytes, MutableBytes scratch);
  result<void> begin_data();
  result<void> decode(Bytes& bytes, MutableBytes scratch);
  result<void> emit(Bytes bytes);
  result<void> end_data();
  // Moves bytes from the front of `bytes` to held_ until it has `wanted`; true when it has.
  bool hold(Bytes& bytes, std::size_t wanted);

  const zip::Entry& entry_;
  const Part part_;
  std::shared_ptr<EntryOutput> output_;
  Stage stage_;
  std::string held_; // header or descriptor, until it is whole
  std::size_t header_size_ = 0;
  std::uint64_t compressed_left_ = 0;
  std::uint64_t written_ = 0;
  std::uint32_t crc_ = 0;
  bool stream_finished_ = false;
  bool published_ = false;
  bool hurried_ = false;
  std::unique_ptr<decode::Decoder> decoder_; // none for stored entries: their bytes go straight to the output
};

} // namespace tmpdump::prefetch
