// SPDX-License-Identifier: Apache-2.0
// The bounded window of buffers between the network and the decoders.
#pragma once

#include "base/bytes.h"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <vector>

namespace tmpdump::fetch {

// Bytes of the archive from `offset` on; filled by one attempt, then read-only and shared.
struct Chunk {
  MutableBytes memory;
  std::uint64_t offset = 0;
};
using ChunkPtr = std::shared_ptr<Chunk>;

// Big enough that hand-overs cost nothing, small enough that decoding starts 4 ms into a range at 60 MB/s.
inline constexpr std::size_t chunk_size = 256U << 10U;

// Back-pressure without deadlock:
// 1. at most `budget` bytes of chunks exist; who gets none waits, its connection is not read, TCP slows
//    the sender;
// 2. the last `reserved` chunks go only to the head: the incomplete range that comes first in the plan.
//    All data before it have been received, so what it brings can be decoded and freed at once, and the
//    head never stops;
// 3. what decoders keep of chunks that they gave back counts against the budget for everybody but the head.
// Thread safety: chunks may be dropped, and keep() called, by any thread; everything else on the network
// thread.
class ChunkPool {
public:
  ChunkPool(boost::asio::io_context& context, std::size_t budget);
  ~ChunkPool();
  ChunkPool(const ChunkPool&) = delete;
  ChunkPool& operator=(const ChunkPool&) = delete;

  // `order`: the range's place in the plan. Waiters are served first come in the plan, first served.
  boost::asio::awaitable<ChunkPtr> acquire(std::uint64_t order);
  void set_head(std::uint64_t order);
  // A decoder keeps so many bytes more (or, below 0, less) than it said before.
  void keep(std::int64_t bytes);
  [[nodiscard]] std::size_t peak_bytes() const;

private:
  static constexpr std::size_t reserved =
      4; // the head's attempt and its hedge, each filling one with one to spare
  struct Waiter;
  struct State;
  std::shared_ptr<State> state_; // outlives the pool while chunks are out
};

} // namespace tmpdump::fetch
