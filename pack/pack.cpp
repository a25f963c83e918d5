// SPDX-License-Identifier: Apache-2.0
#include "pack/pack.h"

#include "decode/decoder.h"
#include "pack/archive_file.h"
#include "pack/compressor.h"
#include "pack/levels.h"
#include "pack/text.h"
#include "pack/zip_writer.h"
#include "zip/segment_index.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <deque>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tmpdump::pack {

namespace {

constexpr std::uint64_t mebibyte = std::uint64_t{1} << 20U;
constexpr std::uint64_t zstd_segment = 10 * mebibyte;
// What is nearest to one of them is not cut: at most one and a half.
static_assert(zstd_segment + zstd_segment / 2 <= decode::max_gathered_zstd);
constexpr std::uint64_t deflate_segment = 1 * mebibyte;
constexpr std::uint64_t granularity = zip::min_segment_bytes;
constexpr std::size_t max_pending = 4096; // items on their way: links and empty files hold no bytes

// A file that is read from its beginning to its end, and must stay what it was when it was found.
class Input {
public:
  static result<Input> open(const Item& item) {
    UniqueFd fd(::open(item.file.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) return system_failure("open " + quote(item.origin), errno);
    struct stat status {};
    if (::fstat(fd.get(), &status) != 0) return system_failure("read " + quote(item.origin), errno);
    Input input(item, std::move(fd), status);
    if (static_cast<std::uint64_t>(status.st_size) != item.size) return input.changed();
    return input;
  }
  result<Buffer> read(std::size_t length) {
    Buffer out(length);
    std::size_t done = 0;
    while (done < length) {
      const ssize_t count = ::read(fd_.get(), out.data() + done, length - done);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return system_failure("read " + quote(item_->origin), errno);
      if (count == 0) return changed();
      done += static_cast<std::size_t>(count);
    }
    return out;
  }
  [[nodiscard]] result<void> check_unchanged() const {
    struct stat now {};
    if (::fstat(fd_.get(), &now) != 0) return system_failure("read " + quote(item_->origin), errno);
    const bool same = now.st_size == status_.st_size && now.st_mtim.tv_sec == status_.st_mtim.tv_sec &&
                      now.st_mtim.tv_nsec == status_.st_mtim.tv_nsec;
    return same ? result<void>{} : changed();
  }

  [[nodiscard]] Failure changed() const {
    return {Errc::io, quote(item_->origin) + " changed while it was packed; pack again when it is still"};
  }

private:
  Input(const Item& item, UniqueFd fd, const struct stat& status)
      : item_(&item), fd_(std::move(fd)), status_(status) {}
  const Item* item_;
  UniqueFd fd_;
  struct stat status_;
};

// A segment on its way through the compressor.
struct Pending {
  std::size_t item = 0;
  bool first = true, last = true;
  std::uint32_t crc = 0; // of the whole, in the last segment
  std::uint64_t size = 0;
  std::future<result<Packed>> packed;
};

// Reads ahead of the compressor by a bounded number of bytes and writes what comes out in order.
class Pipeline {
public:
  Pipeline(const std::vector<Item>& items, const PackSettings& settings, unsigned threads, OutputFile& out,
           prefetch::Progress& progress, const Tick& tick)
      : items_(items), settings_(settings), window_((2 * threads + 1) * zstd_segment), writer_(out),
        progress_(progress), tick_(tick), compressor_(settings.method, settings.level) {
    packing_.entries.resize(items.size());
  }

  result<void> start(unsigned threads) { return compressor_.start(threads); }
  result<void> add(std::size_t item);
  result<Packing> finish();

private:
  result<void> submit(std::size_t item, Buffer input, bool first, bool last, std::uint32_t crc);
  result<void> write_one();
  result<void> begin_entry(const Pending& pending, zip::Method method);
  result<void> store_instead(const Item& item, std::uint32_t crc);

  const std::vector<Item>& items_;
  const PackSettings& settings_;
  // Bytes read, but not written yet. By bytes, not segments: behind a segment that takes seconds the other
  // cores go on with a hundred small files.
  const std::uint64_t window_;
  std::uint64_t held_ = 0;
  ZipWriter writer_;
  prefetch::Progress& progress_;
  const Tick& tick_;
  Packing packing_;
  Segments segments_; // of the entry that is being written
  Compressor compressor_;
  std::deque<Pending> pending_;
};

result<void> Pipeline::submit(std::size_t item, Buffer input, bool first, bool last, std::uint32_t crc) {
  while (!pending_.empty() && (held_ + input.size() > window_ || pending_.size() >= max_pending))
    TMPDUMP_CHECK(write_one());
  held_ += input.size();
  Pending pending{item, first, last, crc, input.size(), {}};
  pending.packed =
      compressor_.submit({std::move(input), last, first && last, items_[item].kind != zip::Kind::file});
  pending_.push_back(std::move(pending));
  return {};
}

result<void> Pipeline::add(std::size_t number) {
  const Item& item = items_[number];
  if (item.kind != zip::Kind::file) {
    const Bytes text = bytes_of(item.target);
    return submit(number, Buffer(text.begin(), text.end()), true, true, decode::crc32(0, text));
  }
  TMPDUMP_TRY(Input input, Input::open(item));
  const std::uint32_t cut = segment_bytes_for(settings_, item.size);
  const std::uint64_t step = cut == 0 ? std::max<std::uint64_t>(item.size, 1) : cut;
  std::uint32_t crc = 0;
  std::uint64_t at = 0;
  do {
    const std::uint64_t length = std::min(step, item.size - at);
    TMPDUMP_TRY(Buffer bytes, input.read(static_cast<std::size_t>(length)));
    crc = decode::crc32(crc, bytes);
    const bool last = at + length == item.size;
    if (last) TMPDUMP_CHECK(input.check_unchanged());
    TMPDUMP_CHECK(submit(number, std::move(bytes), at == 0, last, crc));
    at += length;
  } while (at < item.size);
  return {};
}

result<void> Pipeline::begin_entry(const Pending& pending, zip::Method method) {
  const Item& item = items_[pending.item];
  packing_.entries[pending.item].method = method;
  segments_ = {pending.last ? 0U : segment_bytes_for(settings_, item.size), {}};
  return writer_.begin(item.path, item.kind, item.mode, method,
                       item.kind == zip::Kind::directory ? 0 : item.size);
}

// What does not compress, in segments, would cost the reader a decoder's window for each of them that is on
// its way.
result<void> Pipeline::store_instead(const Item& item, std::uint32_t crc) {
  TMPDUMP_CHECK(writer_.store_instead());
  TMPDUMP_TRY(Input input, Input::open(item));
  std::uint32_t again = 0;
  for (std::uint64_t at = 0; at < item.size;) {
    TMPDUMP_TRY(const Buffer bytes, input.read(static_cast<std::size_t>(std::min(mebibyte, item.size - at))));
    again = decode::crc32(again, bytes);
    TMPDUMP_CHECK(writer_.data(bytes));
    at += bytes.size();
    TMPDUMP_CHECK(tick_());
  }
  return again == crc ? result<void>{} : input.changed();
}

result<void> Pipeline::write_one() {
  constexpr auto patience = std::chrono::milliseconds(100); // between two draws of a progress bar
  Pending pending = std::move(pending_.front());
  pending_.pop_front();
  held_ -= pending.size;
  while (pending.packed.wait_for(patience) != std::future_status::ready)
    TMPDUMP_CHECK(tick_());
  TMPDUMP_TRY(const Packed packed, pending.packed.get());
  if (pending.first) TMPDUMP_CHECK(begin_entry(pending, packed.method));
  TMPDUMP_CHECK(writer_.data(packed.data));
  PackedEntry& entry = packing_.entries[pending.item];
  entry.packed += packed.data.size();
  if (segments_.segment_bytes != 0)
    segments_.packed_sizes.push_back(static_cast<std::uint32_t>(packed.data.size()));
  if (pending.last) {
    if (segments_.segment_bytes != 0 && entry.packed >= items_[pending.item].size) {
      TMPDUMP_CHECK(store_instead(items_[pending.item], pending.crc));
      entry = {items_[pending.item].size, 1, zip::Method::stored};
      segments_ = {};
    }
    entry.segments = std::max<std::size_t>(1, segments_.packed_sizes.size());
    TMPDUMP_CHECK(writer_.end(pending.crc, segments_));
    packing_.packed += entry.packed;
    if (items_[pending.item].kind == zip::Kind::file) packing_.size += items_[pending.item].size;
    ++progress_.files_done;
  }
  progress_.received += pending.size;
  return tick_();
}

result<Packing> Pipeline::finish() {
  while (!pending_.empty())
    TMPDUMP_CHECK(write_one());
  TMPDUMP_CHECK(writer_.finish());
  return std::move(packing_);
}

// What the reader would refuse whatever the bytes are.
result<void> check_items(const std::vector<Item>& items) {
  zip::Directory directory;
  for (const Item& item : items) {
    if (item.kind == zip::Kind::symlink) TMPDUMP_CHECK(check_link(item.path, item.target));
    zip::Entry& entry = directory.entries.emplace_back();
    entry.path = item.path;
    entry.kind = item.kind;
  }
  for (const CpuLevel level : all_levels) {
    const auto good = check_level(directory, level);
    if (!good) return Failure{Errc::usage, good.error().message + "; --exclude one of them"};
  }
  return {};
}

// The reader's word on what was written.
result<void> check_written(OutputFile& out) {
  TMPDUMP_CHECK(out.flush());
  UniqueFd copy(::fcntl(out.fd(), F_DUPFD_CLOEXEC, 0));
  if (!copy) return system_failure("read " + quote(out.path()), errno);
  TMPDUMP_TRY(const ArchiveFile archive, ArchiveFile::open(std::move(copy), out.path()));
  TMPDUMP_CHECK(archive.directory());
  return {};
}

} // namespace

std::uint32_t segment_bytes_for(const PackSettings& settings, std::uint64_t size) {
  std::uint64_t wanted = settings.method == zip::Method::zstd ? zstd_segment : deflate_segment;
  if (settings.segment_bytes != 0)
    wanted = std::clamp(settings.segment_bytes, granularity, std::uint64_t{zip::max_segment_bytes});
  wanted = std::max(wanted, size / zip::max_segments + 1);
  if (size <= wanted) return 0;
  // Parts of one size: a short last one would compress worse, and keep one core when the others are done. As
  // many as are nearest to the size that is wanted: five parts of 6.4 MiB instead of four of 8 cost
  // libopenblas.so 6 %.
  const bool chosen = settings.segment_bytes != 0 || wanted > std::max(zstd_segment, deflate_segment);
  const std::uint64_t count = (size + (chosen ? wanted - 1 : wanted / 2)) / wanted;
  if (count < 2) return 0;
  const std::uint64_t even = (size + count - 1) / count;
  const std::uint64_t rounded = (even + granularity - 1) / granularity * granularity;
  return rounded > zip::max_segment_bytes || rounded >= size ? 0 : static_cast<std::uint32_t>(rounded);
}

result<Packing> write_archive(const std::vector<Item>& items, const PackSettings& settings, OutputFile& out,
                              prefetch::Progress& progress, const Tick& tick) {
  TMPDUMP_CHECK(check_items(items));
  for (const Item& item : items)
    progress.expected += item.size;
  progress.files_wanted = items.size();
  const unsigned threads = settings.threads != 0 ? settings.threads : prefetch::available_cores();
  Pipeline pipeline(items, settings, threads, out, progress, tick);
  TMPDUMP_CHECK(pipeline.start(threads));
  for (std::size_t i = 0; i < items.size(); ++i) {
    TMPDUMP_CHECK(tick());
    TMPDUMP_CHECK(pipeline.add(i));
  }
  TMPDUMP_TRY(Packing packing, pipeline.finish());
  TMPDUMP_CHECK(check_written(out));
  return packing;
}

} // namespace tmpdump::pack
