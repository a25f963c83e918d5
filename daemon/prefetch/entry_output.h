// SPDX-License-Identifier: Apache-2.0
// Where the parts of one entry meet, and where it becomes a file, a directory or a symlink.
#pragma once

#include "base/bytes.h"
#include "base/error.h"
#include "output/destination.h"
#include "prefetch/entry_parts.h"
#include "zip/directory.h"

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace tmpdump::prefetch {

// Thread safety: open(), write() and finish() from any thread, one thread a part. Invariant: nothing is
// visible before every part has been finished and the CRC-32 of the whole is the directory's.
class EntryOutput {
public:
  // `entry` and `destination` must outlive it.
  EntryOutput(const zip::Entry& entry, const output::Destination& destination, std::size_t parts);

  // Before the first write of a part.
  result<void> open();
  result<void> write(std::uint64_t offset, Bytes bytes);
  // The part's bytes are all written, and `crc` is theirs. True: it was the last, and the entry is in its
  // place.
  result<bool> finish(const Part& part, std::uint32_t crc);

private:
  struct Finished {
    std::uint64_t size = 0;
    std::uint32_t crc = 0;
  };
  result<void> publish();

  const zip::Entry& entry_;
  const output::Destination& destination_;
  std::mutex mutex_;
  // Guarded by mutex_; the staged file's place in memory does not change once it is open:
  std::vector<Finished> finished_;
  std::size_t left_;
  std::optional<output::StagedFile> file_;
  std::string target_; // of a symlink, which has one part
};

} // namespace tmpdump::prefetch
