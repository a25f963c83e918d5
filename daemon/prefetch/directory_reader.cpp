// SPDX-License-Identifier: Apache-2.0
#include "prefetch/directory_reader.h"

#include <algorithm>

namespace tmpdump::prefetch {

using boost::asio::awaitable;

namespace {

static_assert(fetch::tail_length >= zip::max_end_records_size, "the end records come with the first answer");

} // namespace

bool DirectoryReader::deliver(const fetch::Piece& piece) {
  if (collecting_early_) {
    early_.push_back(piece);
    return false;
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
  collecting_early_ = false;
  end_offset_ = info_.size - std::min(fetch::tail_length, info_.size);
  end_of_file_.resize(static_cast<std::size_t>(info_.size - end_offset_));
  for (const auto& piece : std::exchange(early_, {})) {
    const std::uint64_t begin = std::max(piece.offset, end_offset_);
    const std::uint64_t end = piece.offset + piece.bytes.size();
    if (begin >= end) continue;
    const auto bytes = piece.bytes.subspan(static_cast<std::size_t>(begin - piece.offset));
    std::copy_n(text_of(bytes).data(), bytes.size(),
                end_of_file_.data() + static_cast<std::ptrdiff_t>(begin - end_offset_));
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
