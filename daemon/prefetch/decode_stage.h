// SPDX-License-Identifier: Apache-2.0
// Decoder threads and what they work on: pieces of the archive come in as they arrive, files go out as they
// are whole.
#pragma once

#include "base/error.h"
#include "base/trace.h"
#include "fetch/transfer.h"
#include "output/destination.h"
#include "zip/directory.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace tmpdump::prefetch {

// Thread safety: add(), set_entries() and stop() from one thread (the network's); the callbacks come from
// decoder threads. Invariants:
// 1. a part's bytes reach its stream in order and once, by one thread at a time;
// 2. no thread waits for a part: one whose bytes have not arrived is put aside and another is taken, so that
//    a full window of buffers always drains;
// 3. among parts with bytes, the one with the most decoding left goes first: it bounds the time to ready. Of
//    short ones the archive's first goes first, as in the plan of ranges: it is wanted first.
class DecodeStage {
public:
  struct Callbacks {
    // A file, directory or symlink is in its place. A failure ends the stage.
    std::function<result<void>(const zip::Entry&)> published;
    // Once: every entry is done, or the first failure.
    std::function<void(result<void>)> ended;
    // Streams keep so many bytes more (below 0: less) of the input than before.
    std::function<void(std::int64_t)> kept;
  };
  DecodeStage(unsigned threads, Callbacks callbacks, Trace* trace);
  ~DecodeStage(); // stops
  DecodeStage(const DecodeStage&) = delete;
  DecodeStage& operator=(const DecodeStage&) = delete;

  // Pieces that come before the entries are known are kept.
  void add(fetch::Piece piece);
  // `entries` are sorted by local_header_offset; they and `destination` outlive the stage. Empty: ended at
  // once. `short_chain`: as fetch::PlanOptions has it.
  void set_entries(const std::vector<const zip::Entry*>& entries, const output::Destination& destination,
                   std::uint64_t short_chain);
  // No piece will come any more. What still lacks bytes when all that came is decoded will never be whole:
  // the stage then ends with a failure instead of waiting.
  void input_ended();
  // Joins the threads; staged files vanish. Nothing is published after it returns.
  void stop();
  // Output buffer of a thread: what the decoder fills before it is checksummed and written; stays in the L2
  // cache.
  static constexpr std::size_t scratch_size = 256U << 10U;

private:
  struct State;
  std::unique_ptr<State> state_;
};

} // namespace tmpdump::prefetch
