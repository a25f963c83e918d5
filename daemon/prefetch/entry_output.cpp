// SPDX-License-Identifier: Apache-2.0
#include "prefetch/entry_output.h"

#include "decode/decoder.h"

namespace tmpdump::prefetch {

EntryOutput::EntryOutput(const zip::Entry& entry, const output::Destination& destination, std::size_t parts)
    : entry_(entry), destination_(destination), finished_(parts), left_(parts) {}

result<void> EntryOutput::open() {
  const std::lock_guard lock(mutex_);
  if (entry_.kind != zip::Kind::file || file_) return {};
  auto staged = destination_.stage(entry_.path, entry_.mode, entry_.size);
  if (!staged) return local(staged.error());
  file_ = std::move(*staged);
  return {};
}

result<void> EntryOutput::write(std::uint64_t offset, Bytes bytes) {
  if (file_) return file_->write_at(offset, bytes);
  if (entry_.kind == zip::Kind::symlink) target_.append(text_of(bytes));
  return {};
}

result<bool> EntryOutput::finish(const Part& part, std::uint32_t crc) {
  const std::lock_guard lock(mutex_);
  finished_[part.index] = {part.size, crc};
  if (--left_ > 0) return false;
  std::uint32_t whole = 0;
  for (const auto& piece : finished_)
    whole = decode::crc32_combine(whole, piece.crc, piece.size);
  if (whole != entry_.crc) {
    return Failure{Errc::bad_archive, "wrong CRC-32: the data are damaged; upload the archive again"};
  }
  if (const auto published = publish(); !published) return local(published.error());
  return true;
}

result<void> EntryOutput::publish() {
  switch (entry_.kind) {
  case zip::Kind::directory:
    // Writable by us until the end: files may still have to be put into it.
    return destination_.make_directory(entry_.path, entry_.mode | 0700U);
  case zip::Kind::symlink:
    // The check needs no other link: ".." is allowed only before the first name, so the target descends from
    // a real directory, and through other links only to places that obey the same rule.
    TMPDUMP_CHECK(zip::check_symlink_target(entry_, target_));
    return destination_.make_symlink(entry_.path, target_);
  case zip::Kind::file:
    break;
  }
  TMPDUMP_CHECK(file_->publish());
  file_.reset();
  return {};
}

} // namespace tmpdump::prefetch
