// SPDX-License-Identifier: Apache-2.0
// Moves ranges of one version of one object from a source to a consumer: parallel, in plan order, with
// retries that go on where a range broke, and with hedges.
#pragma once

#include "base/error.h"
#include "base/trace.h"
#include "fetch/chunk_pool.h"
#include "fetch/range_plan.h"
#include "fetch/retry_policy.h"
#include "s3/object_source.h"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace tmpdump::fetch {

// Bytes [offset, offset + bytes.size()) of the archive, kept alive by the chunk.
struct Piece {
  ChunkPtr chunk;
  std::uint64_t offset = 0;
  Bytes bytes;
  bool tail = false; // of the suffix that begin() asked for
};

struct TransferOptions {
  unsigned connections = max_default_connections; // ranges in flight, hedges not counted
  RetryPolicy retry;
  HedgePolicy hedge;
};

struct ObjectInfo {
  std::uint64_t size = 0; // bytes
  std::string etag;       // pinned: every later range carries it as If-Match
};

struct TransferCounters {
  std::uint64_t bytes = 0; // received, duplicates of hedges included
  std::uint64_t retries = 0;
  std::uint64_t hedges = 0;
};

// Invariants:
// 1. every byte of every range is delivered exactly once, within a range in order; only what a speculative
// range brought
//    before the tail's place was known may come again with the tail;
// 2. all delivered bytes are of the same ETag (or, without ETags, of an object of the same size);
// 3. after the first failure nothing is delivered any more.
// Thread rules: network thread only; `deliver` is called on it and must not block.
class Transfer {
public:
  using Deliver = std::function<void(Piece)>;
  Transfer(boost::asio::io_context& context, s3::ObjectSource& source, ChunkPool& pool,
           TransferOptions options, Deliver deliver, Trace* trace);
  ~Transfer();
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  // Asks for the object's last `tail` bytes and, beside it, for `front`, whose parts beyond the object's end
  // are forgotten. Returns when the tail has been delivered.
  boost::asio::awaitable<result<ObjectInfo>> begin(std::uint64_t tail, const std::vector<Slice>& front);
  // Before everything that is queued; returns when delivered.
  boost::asio::awaitable<result<void>> fetch_first(Slice slice);
  // Appends to the queue.
  void add(const std::vector<Slice>& slices);
  // What begin() asked for and was not wanted in the end is abandoned; `wanted(slice)` decides.
  void abandon_unless(const std::function<bool(Slice)>& wanted);
  void set_connections(unsigned connections);
  // Returns when everything asked for has been delivered, or failed.
  boost::asio::awaitable<result<void>> drain();
  // Stops everything; drain() and begin() return `reason`.
  void cancel(Failure reason);
  // Returns when no attempt is left, neither of those that were stopped nor a hedge that lost: from then on
  // nothing of this touches the source. After drain() or cancel() that is a matter of microseconds.
  boost::asio::awaitable<void> join();

  [[nodiscard]] const TransferCounters& counters() const;
  // All ranges asked for so far, clipped to the object: what the plan need not ask for again.
  [[nodiscard]] std::vector<Slice> asked() const;

private:
  struct State;
  std::shared_ptr<State> state_; // shared with the coroutines that are being cancelled
};

} // namespace tmpdump::fetch
