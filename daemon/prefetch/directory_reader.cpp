// SPDX-License-Identifier: Apache-2.0
#include "prefetch/directory_reader.h"

#include <algorithm>

namespace tmpdump::prefetch {

using boost::asio::awaitable;

namespace {

static_assert(fetch::tail_length >= zip::max_end_records_size, "the end records come with the first answer");

} // namespace

bool DirectoryReader::deliver(const fetch::Piece& piece) {
  if (piece.tail) { // comes in order
    if (end_of_file_.empty()) end_offset_ = piece.offset;
    end_of_file_.append(text_of(piece.bytes));
    return true;
  }
  // Speculative ranges may reach into the directory, too, in pieces of other sizes: whoever brings the next
  // byte.
  const std::uint64_t next = missing_offset_ + missing_.size();
  const std::uint64_t missing_end = missing_offset_ + missing_size_;
  const std::uint64_t piece_end = piece.offset + piece.bytes.size();
  const std::uint64_t end = std::min(piece_end, missing_end);
  if (piece.offset <= next && next < end) {
    missing_.append(text_of(piece.bytes.subspan(static_cast<std::size_t>(next - piece.offset),
                                                static_cast<std::size_t>(end - next))));
  }
  return piece.offset >= missing_offset_ && piece_end <= missing_end;
}

fetch::Piece DirectoryReader::tail() const {
  struct Copy {
    std::string bytes;
    fetch::Chunk chunk;
  };
  const auto copy = std::make_shared<Copy>(Copy{tail_, {}});
  return {fetch::ChunkPtr(copy, &copy->chunk), tail_offset_, bytes_of(copy->bytes), true};
}

awaitable<result<void>> DirectoryReader::extend_to(fetch::Transfer& transfer, std::uint64_t offset) {
  missing_offset_ = offset;
  missing_size_ = end_offset_ - offset;
  missing_.clear();
  TMPDUMP_CO_CHECK(co_await transfer.fetch_first({missing_offset_, missing_size_}));
  end_of_file_.insert(0, missing_);
  end_offset_ = offset;
  missing_.clear();
  missing_.shrink_to_fit();
  missing_size_ = 0;
  co_return result<void>{};
}

awaitable<result<zip::Directory>> DirectoryReader::read(fetch::Transfer& transfer,
                                                        const std::vector<fetch::Slice>& front,
                                                        const zip::Limits& limits, std::string_view object) {
  TMPDUMP_CO_TRY(info_, co_await transfer.begin(fetch::tail_length, front));
  if (end_of_file_.size() != std::min(fetch::tail_length, info_.size)) {
    co_return Failure{Errc::network,
                      std::string(object) + ": the object's end came with another length than it has"};
  }
  const auto named = [&](const Failure& failure) { return failure.within(object); };

  zip::DirectoryLocation location;
  for (;;) {
    auto located = zip::locate_directory(bytes_of(end_of_file_), info_.size);
    if (!located) co_return named(located.error());
    if (const auto* more = std::get_if<zip::NeedMore>(&*located)) {
      if (more->offset >= end_offset_ || end_offset_ - more->offset > limits.max_directory_size) {
        co_return named(
            {Errc::bad_archive, "the end of the central directory cannot be found; not a zip archive"});
      }
      TMPDUMP_CO_CHECK(co_await extend_to(transfer, more->offset));
      continue;
    }
    location = std::get<zip::DirectoryLocation>(*located);
    break;
  }
  if (const auto fits = zip::check_limits(location, limits); !fits) co_return named(fits.error());
  tail_offset_ = end_offset_;
  if (location.offset > end_offset_)
    tail_ = end_of_file_.substr(0, static_cast<std::size_t>(location.offset - end_offset_));
  if (location.offset < end_offset_) TMPDUMP_CO_CHECK(co_await extend_to(transfer, location.offset));
  const auto bytes = bytes_of(end_of_file_)
                         .subspan(static_cast<std::size_t>(location.offset - end_offset_),
                                  static_cast<std::size_t>(location.size));
  auto directory = zip::parse_directory(bytes, location, info_.size, limits);
  end_of_file_.clear();
  end_of_file_.shrink_to_fit();
  if (!directory) co_return named(directory.error());
  co_return std::move(*directory);
}

} // namespace tmpdump::prefetch
