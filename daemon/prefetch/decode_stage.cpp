// SPDX-License-Identifier: Apache-2.0
#include "prefetch/decode_stage.h"

#include "prefetch/part_stream.h"

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <new>
#include <queue>
#include <stdexcept>
#include <system_error>
#include <thread>

namespace tmpdump::prefetch {

namespace {

struct Task {
  const zip::Entry* entry = nullptr;
  Part part;
  std::shared_ptr<EntryOutput> output; // of all parts of the entry; until this one's stream has it
  std::unique_ptr<PartStream> stream;
  std::uint64_t next = 0; // archive offset of the byte that the stream wants next
  // By offset, for pieces that came before their predecessors. Empty most of the time.
  std::map<std::uint64_t, fetch::Piece> waiting;
  bool queued_or_running = false;
  bool done = false;

  // Bytes at `next`; what came twice is dropped.
  [[nodiscard]] bool has_bytes() {
    while (!waiting.empty() && waiting.begin()->first < next) {
      auto piece = std::move(waiting.begin()->second);
      waiting.erase(waiting.begin());
      const std::uint64_t known = next - piece.offset;
      if (known >= piece.bytes.size()) continue;
      piece.offset = next;
      piece.bytes = piece.bytes.subspan(static_cast<std::size_t>(known));
      keep(std::move(piece));
    }
    return !waiting.empty() && waiting.begin()->first == next;
  }
  // Of two pieces at one place the longer is kept.
  void keep(fetch::Piece piece) {
    auto& place = waiting[piece.offset];
    if (place.bytes.size() < piece.bytes.size()) place = std::move(piece);
  }
};

Failure out_of_memory() {
  return {Errc::io, "decode: out of memory; give the function more"};
}

struct Ready {
  std::uint64_t chain = 0; // decoding still to be done, 0 for a short one
  std::size_t task = 0;
  bool operator<(const Ready& other) const {
    return chain != other.chain ? chain < other.chain : task > other.task;
  }
};

} // namespace

struct DecodeStage::State {
  Callbacks callbacks;
  Trace* trace = nullptr;
  std::vector<std::thread> threads;

  std::mutex mutex;
  std::condition_variable work;
  // Guarded by mutex:
  std::vector<fetch::Piece> early;
  std::vector<Task> tasks; // sorted by place in the archive; not resized after set_entries
  bool entries_known = false;
  std::uint64_t short_chain = 0;
  std::priority_queue<Ready> ready;
  std::size_t left = 0;
  unsigned running = 0; // threads that work on a task
  bool input_ended = false;
  bool stopping = false;
  bool ended = false;

  void distribute(const fetch::Piece& piece);
  void make_ready(std::size_t index);
  void end(std::unique_lock<std::mutex>& lock, result<void> outcome);
  void end_if_starved(std::unique_lock<std::mutex>& lock);
  void run(unsigned number);
  result<bool> work_on(Task& task, std::unique_lock<std::mutex>& lock, MutableBytes scratch);
  result<void> complete(Task& task);
};

DecodeStage::DecodeStage(unsigned threads, Callbacks callbacks, Trace* trace)
    : state_(std::make_unique<State>()) {
  state_->callbacks = std::move(callbacks);
  state_->trace = trace;
  const unsigned wanted = std::max(1U, threads);
  state_->threads.reserve(wanted); // from here on a thread that was started is kept
  try {
    for (unsigned i = 0; i < wanted; ++i)
      state_->threads.emplace_back([state = state_.get(), i] { state->run(i); });
  } catch (const std::system_error& error) { // fewer do it too
    if (state_->threads.empty()) {
      throw std::runtime_error(std::string("start a thread that decodes: ") + error.what() +
                               " (too many processes, or too little memory)");
    }
  }
}

DecodeStage::~DecodeStage() {
  stop();
}

void DecodeStage::stop() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->work.notify_all();
  for (auto& thread : state_->threads) {
    if (thread.joinable()) thread.join();
  }
  const std::lock_guard lock(state_->mutex);
  state_->early.clear();
  state_->tasks.clear(); // drops streams and so what they staged
}

void DecodeStage::input_ended() {
  std::unique_lock lock(state_->mutex);
  state_->input_ended = true;
  state_->end_if_starved(lock);
}

void DecodeStage::add(fetch::Piece piece) {
  const std::lock_guard lock(state_->mutex);
  if (state_->stopping || state_->ended) return;
  if (!state_->entries_known) {
    state_->early.push_back(std::move(piece));
  } else {
    state_->distribute(piece);
  }
}

void DecodeStage::set_entries(const std::vector<const zip::Entry*>& entries,
                              const output::Destination& destination, std::uint64_t short_chain) {
  std::unique_lock lock(state_->mutex);
  state_->entries_known = true;
  state_->short_chain = short_chain;
  state_->tasks.reserve(entries.size());
  for (const auto* entry : entries) {
    const auto parts = parts_of(*entry);
    const auto output = std::make_shared<EntryOutput>(*entry, destination, parts.size());
    for (const auto& part : parts) {
      Task& task = state_->tasks.emplace_back();
      task.entry = entry;
      task.part = part;
      task.output = output;
      task.next = part.begin;
    }
  }
  state_->left = state_->tasks.size();
  const auto early = std::exchange(state_->early, {});
  for (const auto& piece : early)
    state_->distribute(piece);
  if (state_->left == 0) state_->end(lock, {});
}

// Under the lock. Gives each part its share of the piece.
void DecodeStage::State::distribute(const fetch::Piece& piece) {
  const std::uint64_t end = piece.offset + piece.bytes.size();
  auto task = std::partition_point(tasks.begin(), tasks.end(),
                                   [&](const Task& t) { return t.part.end <= piece.offset; });
  for (; task != tasks.end() && task->part.begin < end; ++task) {
    if (task->done) continue;
    const std::uint64_t from = std::max(piece.offset, task->part.begin);
    const std::uint64_t to = std::min(end, task->part.end);
    if (from >= to) continue;
    task->keep({piece.chunk, from,
                piece.bytes.subspan(static_cast<std::size_t>(from - piece.offset),
                                    static_cast<std::size_t>(to - from))});
    if (!task->queued_or_running && task->has_bytes())
      make_ready(static_cast<std::size_t>(task - tasks.begin()));
  }
}

void DecodeStage::State::make_ready(std::size_t index) {
  Task& task = tasks[index];
  task.queued_or_running = true;
  const std::uint64_t cost_left = fetch::share(decode_cost(*task.entry, task.part), task.part.end - task.next,
                                               task.part.end - task.part.begin);
  ready.push({cost_left > short_chain ? cost_left : 0, index});
  work.notify_one();
}

void DecodeStage::State::end(std::unique_lock<std::mutex>& lock, result<void> outcome) {
  if (std::exchange(ended, true)) return;
  lock.unlock();
  callbacks.ended(std::move(outcome));
  lock.lock();
}

void DecodeStage::State::end_if_starved(std::unique_lock<std::mutex>& lock) {
  if (!input_ended || ended || stopping || left == 0 || running > 0 || !ready.empty()) return;
  const auto lacking = std::find_if(tasks.begin(), tasks.end(), [](const Task& task) { return !task.done; });
  end(lock, Failure{Errc::network, "entry '" + printable(lacking->entry->path) +
                                       "': bytes of it never arrived, although every range was answered; "
                                       "try again, and report this"});
}

void DecodeStage::State::run(unsigned number) {
  // An exception would end the process without a word.
  const std::unique_ptr<std::byte[]> scratch(new (std::nothrow) std::byte[scratch_size]);
  std::unique_lock lock(mutex);
  if (!scratch) return end(lock, out_of_memory());
  for (;;) {
    work.wait(lock, [&] { return stopping || !ready.empty(); });
    if (stopping) return;
    Task& task = tasks[ready.top().task];
    ready.pop();
    ++running;
    const auto begin = Trace::Clock::now();
    auto outcome = work_on(task, lock, MutableBytes(scratch.get(), scratch_size));
    if (trace != nullptr) {
      trace->complete("decoders", number, printable(task.entry->path), begin, Trace::Clock::now());
    }
    --running;
    if (!outcome) {
      end(lock, std::move(outcome).error());
    } else if (*outcome && --left == 0) {
      end(lock, {});
    } else {
      end_if_starved(lock);
    }
  }
}

// Feeds the task what has arrived. True: complete. False: put aside until more comes.
result<bool> DecodeStage::State::work_on(Task& task, std::unique_lock<std::mutex>& lock,
                                         MutableBytes scratch) {
  while (!stopping && !ended && task.has_bytes()) {
    fetch::Piece piece = std::move(task.waiting.begin()->second);
    task.waiting.erase(task.waiting.begin());
    // The last ones may have a window each, since no other part will ask for one. Most often three end
    // together, those of the last ranges.
    const bool hurry = left <= threads.size() + 1;
    lock.unlock();
    const std::size_t size = piece.bytes.size();
    result<bool> fed = false;
    try {
      if (!task.stream)
        task.stream = std::make_unique<PartStream>(*task.entry, task.part, std::move(task.output));
      if (hurry) task.stream->hurry();
      const auto kept = static_cast<std::int64_t>(task.stream->kept());
      fed = task.stream->feed(piece.bytes, scratch);
      if (callbacks.kept) callbacks.kept(static_cast<std::int64_t>(task.stream->kept()) - kept);
      piece = {}; // frees the chunk for the network
      if (fed && *fed) {
        if (auto completed = complete(task); !completed) fed = completed.error();
      }
    } catch (const std::bad_alloc&) {
      fed = out_of_memory();
    }
    lock.lock();
    task.next += size;
    if (!fed) return fed;
    if (*fed) {
      task.done = true;
      task.waiting.clear();
      task.queued_or_running = false;
      return true;
    }
  }
  task.queued_or_running = false;
  if (task.next == task.part.end) {
    return Failure{Errc::bad_archive, "entry '" + printable(task.entry->path) + "': cut short"};
  }
  return false;
}

// Without the lock; the stream is complete.
result<void> DecodeStage::State::complete(Task& task) {
  const bool published = task.stream->published();
  task.stream.reset();
  if (published && callbacks.published) return callbacks.published(*task.entry);
  return {};
}

} // namespace tmpdump::prefetch
