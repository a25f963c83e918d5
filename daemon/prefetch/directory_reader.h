// SPDX-License-Identifier: Apache-2.0
// Reads the central directory through a transfer.
#pragma once

#include "fetch/transfer.h"
#include "zip/directory.h"

#include <boost/asio/awaitable.hpp>

#include <string>

namespace tmpdump::prefetch {

// Sees every piece that the transfer delivers (deliver()), and copies those that belong to the archive's end:
// were their chunks kept, an object that comes in very small pieces could fill the window with them, and the
// rest of its end would wait for ever.
class DirectoryReader {
public:
  // Returns the directory, or why there is none. `front` as in Transfer::begin.
  boost::asio::awaitable<result<zip::Directory>> read(fetch::Transfer& transfer,
                                                      const std::vector<fetch::Slice>& front,
                                                      const zip::Limits& limits, std::string_view object);
  // True: the piece is not to be handed on. It is part of the directory alone, or of the tail.
  bool deliver(const fetch::Piece& piece);
  // What the tail holds in front of the directory, for the entries; after read() succeeded. May be empty.
  [[nodiscard]] fetch::Piece tail() const;
  [[nodiscard]] const fetch::ObjectInfo& object() const { return info_; }

private:
  boost::asio::awaitable<result<void>> extend_to(fetch::Transfer& transfer, std::uint64_t offset);

  fetch::ObjectInfo info_;
  std::string end_of_file_; // bytes [end_offset_, size)
  std::uint64_t end_offset_ = 0;
  std::string missing_; // bytes before end_offset_, on their way
  std::uint64_t missing_offset_ = 0, missing_size_ = 0;
  std::string tail_; // bytes [tail_offset_, ...) in front of the directory
  std::uint64_t tail_offset_ = 0;
};

} // namespace tmpdump::prefetch
