// SPDX-License-Identifier: Apache-2.0
#include "fetch/chunk_pool.h"

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <sys/mman.h>
#include <unistd.h>

namespace tmpdump::fetch {

namespace asio = boost::asio;

namespace {

// malloc would keep the pages of what is given back to it, while decoders take as much elsewhere: 10 MiB of
// what hardly compresses. Only the pages go: where malloc notes something nothing is touched.
void drop_pages(std::byte* memory) {
  static const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto address = reinterpret_cast<std::uintptr_t>(memory);
  const std::uintptr_t begin = (address + page - 1) / page * page;
  const std::uintptr_t end = (address + chunk_size) / page * page;
  (void)::madvise(memory + (begin - address), end - begin, MADV_DONTNEED);
}

} // namespace

struct ChunkPool::Waiter {
  Waiter(asio::io_context& context, std::uint64_t place) : woken(context), order(place) {
    woken.expires_at(std::chrono::steady_clock::time_point::max());
  }
  asio::steady_timer woken; // cancelled when the waiter should look again
  std::uint64_t order;
};

struct ChunkPool::State {
  State(asio::io_context& ctx, std::size_t budget)
      : context(ctx), limit(std::max(budget / chunk_size, 2 * reserved)) {}
  asio::io_context& context;
  const std::size_t limit; // chunks

  // Network thread only.
  std::list<Waiter*> waiters; // sorted by order
  std::uint64_t head = 0;

  std::mutex mutex;
  // Guarded by mutex: chunks not in use, last in first out (the warmest cache lines), and how many exist.
  std::vector<std::unique_ptr<std::byte[]>> free_chunks;
  std::size_t made = 0;
  std::int64_t kept = 0; // bytes, by decoders
  bool someone_waits = false;
  bool closed = false;

  [[nodiscard]] std::size_t kept_chunks() const { return static_cast<std::size_t>(kept) / chunk_size; }

  std::unique_ptr<std::byte[]> take(std::uint64_t order) {
    const std::lock_guard lock(mutex);
    const std::size_t available = free_chunks.size() + (limit - made);
    if (available == 0 || (available <= reserved + kept_chunks() && order > head)) {
      someone_waits = true;
      return nullptr;
    }
    if (!free_chunks.empty()) {
      auto memory = std::move(free_chunks.back());
      free_chunks.pop_back();
      return memory;
    }
    ++made;
    return std::make_unique_for_overwrite<std::byte[]>(chunk_size);
  }

  // Any thread. True: a waiter should look again.
  bool give_back(std::unique_ptr<std::byte[]> memory) {
    const std::lock_guard lock(mutex);
    if (made + kept_chunks() > limit) {
      drop_pages(memory.get()); // its place is taken
      memory.reset();
      --made;
    } else {
      free_chunks.push_back(std::move(memory));
    }
    return std::exchange(someone_waits, false) && !closed;
  }
  bool keep(std::int64_t bytes) {
    const std::lock_guard lock(mutex);
    kept += bytes;
    return bytes < 0 && std::exchange(someone_waits, false) && !closed;
  }

  void wake_first() {
    if (!waiters.empty()) waiters.front()->woken.cancel();
  }
};

ChunkPool::ChunkPool(asio::io_context& context, std::size_t budget)
    : state_(std::make_shared<State>(context, budget)) {}

ChunkPool::~ChunkPool() {
  const std::lock_guard lock(state_->mutex);
  state_->closed = true; // the io_context may be gone when the last chunk comes back
}

asio::awaitable<ChunkPtr> ChunkPool::acquire(std::uint64_t order) {
  const auto state = state_;
  auto memory = state->take(order);
  if (!memory) {
    Waiter waiter(state->context, order);
    const auto place = state->waiters.insert(std::find_if(state->waiters.begin(), state->waiters.end(),
                                                          [&](const auto* w) { return w->order > order; }),
                                             &waiter);
    // Leaves the list also when the coroutine is cancelled, which throws out of the co_await below.
    const auto leave = [&](void*) {
      state->waiters.erase(place);
      state->wake_first(); // there may be more than one chunk
    };
    const std::unique_ptr<void, decltype(leave)> guard(&waiter, leave);
    while (!memory) {
      boost::system::error_code ignored;
      waiter.woken.expires_at(std::chrono::steady_clock::time_point::max());
      co_await waiter.woken.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
      if ((co_await asio::this_coro::cancellation_state).cancelled() != asio::cancellation_type::none) {
        throw boost::system::system_error(asio::error::operation_aborted);
      }
      memory = state->take(order);
    }
  }
  std::byte* const bytes = memory.release();
  auto* const chunk = new Chunk{MutableBytes(bytes, chunk_size), 0};
  co_return ChunkPtr(chunk, [state](Chunk* dead) {
    std::unique_ptr<std::byte[]> back(dead->memory.data());
    delete dead;
    if (state->give_back(std::move(back))) asio::post(state->context, [state] { state->wake_first(); });
  });
}

void ChunkPool::set_head(std::uint64_t order) {
  state_->head = order;
  state_->wake_first();
}

void ChunkPool::keep(std::int64_t bytes) {
  if (bytes != 0 && state_->keep(bytes)) {
    asio::post(state_->context, [state = state_] { state->wake_first(); });
  }
}

std::size_t ChunkPool::peak_bytes() const {
  const std::lock_guard lock(state_->mutex);
  return state_->made * chunk_size;
}

} // namespace tmpdump::fetch
