// SPDX-License-Identifier: Apache-2.0
#include "fetch/transfer.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <deque>
#include <exception>
#include <optional>
#include <random>
#include <set>

namespace tmpdump::fetch {

namespace asio = boost::asio;
using asio::awaitable;
using s3::GetFailure;
using s3::Verdict;
using Clock = std::chrono::steady_clock;

namespace {

// Repairs (stale connection, region, token) follow one another a few times at most; more is a server that
// plays.
constexpr unsigned max_immediate_retries = 12;

// Into so many parts the time is cut after which a range is given up. Parts are counted, not the clock: while
// the process stands still (a function that is frozen, a clock that jumps with a snapshot) one passes at
// most.
constexpr unsigned deadline_parts = 16;

// One range on its way. Owned by the coroutines that work on it.
struct Job {
  std::uint64_t order = 0;
  bool suffix = false;                 // the tail: its place is known with the first answer
  bool speculative = false;            // asked for before the size is known: may lie beyond the end
  std::uint64_t position = 0, end = 0; // bytes [position, end) are still missing
  std::uint64_t suffix_length = 0;
  bool finished = false;

  std::uint64_t received = 0; // by the attempt that leads
  bool paused = false;        // waits for a chunk, not for the server
  asio::cancellation_signal primary, hedge;
  Clock::time_point started;

  std::uint64_t progressed_to = 0; // where it was when it last made progress that is worth the name
  unsigned parts_without = 0;      // of the deadline, since then
  unsigned failures = 0;           // since it last received anything
  Failure last_failure{Errc::network, "no answer"};
};
using JobPtr = std::shared_ptr<Job>;

} // namespace

struct Transfer::State : std::enable_shared_from_this<Transfer::State> {
  State(asio::io_context& ctx, s3::ObjectSource& src, ChunkPool& chunks, TransferOptions opts, Deliver sink,
        Trace* tr)
      : context(ctx), source(src), pool(chunks), options(opts), deliver(std::move(sink)), trace(tr),
        changed(ctx), watch(ctx), random(std::random_device{}()) {
    changed.expires_at(Clock::time_point::max());
  }

  asio::io_context& context;
  s3::ObjectSource& source;
  ChunkPool& pool;
  TransferOptions options;
  Deliver deliver;
  Trace* trace;
  asio::steady_timer changed; // cancelled whenever a job ends or everything fails
  asio::steady_timer watch;   // runs while there are active jobs
  unsigned watch_number = 0;  // a handler of an earlier one has nothing to say; 0: none runs
  unsigned last_watch = 0;
  std::minstd_rand random; // jitter, not cryptography

  std::deque<JobPtr> queue;
  std::vector<JobPtr> active;
  std::set<std::pair<std::uint64_t, const Job*>> incomplete; // by plan order; the first is the head
  std::uint64_t next_order = 1;                              // 0 is for the directory
  std::vector<Slice> asked;
  unsigned hedging = 0;
  unsigned running = 0; // coroutines of jobs, until their last step is done
  // What a range's connection brings when all is well: of those that ended, each newer one counting double.
  double usual_bytes = 0, usual_seconds = 0;
  std::optional<ObjectInfo> pinned;
  std::optional<Failure> failed;
  TransferCounters counters;

  JobPtr make_job(Slice slice, std::uint64_t order) {
    auto job = std::make_shared<Job>();
    job->order = order;
    job->position = slice.offset;
    job->end = slice.offset + slice.length;
    incomplete.emplace(order, job.get());
    asked.push_back(slice);
    return job;
  }

  [[nodiscard]] milliseconds deadline_part() const {
    return std::max(milliseconds(1), options.retry.deadline / deadline_parts);
  }
  void keep_watch() {
    watch.expires_after(deadline_part());
    watch.async_wait(
        [self = shared_from_this(), number = watch_number](const boost::system::error_code& error) {
          if (error || self->failed || number != self->watch_number) return;
          const auto jobs = self->active; // giving up changes it
          for (const auto& job : jobs)
            self->look_at(*job);
          if (!self->failed) self->keep_watch();
        });
  }
  void end_watch() {
    watch_number = 0;
    watch.cancel();
  }
  // A few bytes before each break are no progress that anybody could wait for; nor does it count against a
  // range that it waits for the decoders.
  void look_at(Job& job) {
    if (job.paused || job.position - job.progressed_to >= options.retry.progress) {
      job.progressed_to = job.position;
      job.parts_without = 0;
    } else if (++job.parts_without + 1 >= deadline_parts) {
      give_up(job);
    }
  }
  void give_up(const Job& job) {
    const auto waited = std::chrono::duration<double>(deadline_part() * job.parts_without).count();
    fail({job.last_failure.code, source.display() + ": gave up after " + std::to_string(job.failures) +
                                     " attempts in " + std::to_string(waited).substr(0, 4) +
                                     " s: " + job.last_failure.message});
  }

  void start(const JobPtr& job);
  void start_queued() {
    while (!failed && !queue.empty() && active.size() < options.connections) {
      auto job = std::move(queue.front());
      queue.pop_front();
      start(job);
    }
  }
  void update_head() { pool.set_head(incomplete.empty() ? UINT64_MAX : incomplete.begin()->first); }

  void note_rate(const Job& job) {
    if (job.suffix || job.received == 0) return; // a tail is mostly latency
    usual_bytes = usual_bytes / 2 + static_cast<double>(job.received);
    usual_seconds = usual_seconds / 2 + std::chrono::duration<double>(Clock::now() - job.started).count();
  }
  // Bytes that a range may be expected to bring in this time: as others do now, or did when they ended
  // before.
  [[nodiscard]] std::uint64_t expected_bytes(Clock::duration time, std::uint64_t by_others) const {
    const std::size_t others = active.size() > 1 ? active.size() - 1 : 0;
    const std::uint64_t now = others == 0 ? 0 : by_others / others;
    if (usual_seconds <= 0) return now;
    const double usual = usual_bytes / usual_seconds * std::chrono::duration<double>(time).count();
    return std::max(now, static_cast<std::uint64_t>(usual));
  }

  void finish(const JobPtr& job) {
    if (job->finished) return;
    job->finished = true;
    incomplete.erase({job->order, job.get()});
    std::erase(active, job);
    if (active.empty()) end_watch();
    note_rate(*job);
    const bool asked_for = job->started != Clock::time_point{}; // else dropped before its turn came
    if (trace != nullptr && asked_for) {
      trace->complete("ranges", static_cast<unsigned>(job->order), job->suffix ? "tail" : "range",
                      job->started, Clock::now(), {{"end", std::to_string(job->end)}});
    }
    // The other attempt, and timers; emitting to a coroutine that has ended does nothing.
    asio::post(context, [job] {
      job->primary.emit(asio::cancellation_type::terminal);
      job->hedge.emit(asio::cancellation_type::terminal);
    });
    update_head();
    // Later: the attempt that has just ended still holds its connection, and the next range is to have it.
    asio::post(context, [self = shared_from_this()] { self->start_queued(); });
    changed.cancel();
  }

  void fail(Failure failure) {
    if (failed) return;
    failed = std::move(failure);
    queue.clear();
    for (const auto& job : active) {
      asio::post(context, [job] {
        job->primary.emit(asio::cancellation_type::terminal);
        job->hedge.emit(asio::cancellation_type::terminal);
      });
    }
    active.clear();
    end_watch();
    changed.cancel();
  }

  // Until something happened; callers loop on their condition.
  awaitable<void> wait_for_change() {
    boost::system::error_code ignored;
    co_await changed.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    if ((co_await asio::this_coro::cancellation_state).cancelled() != asio::cancellation_type::none) {
      throw boost::system::system_error(asio::error::operation_aborted);
    }
  }

  // What the tail brings, the speculative ranges need not.
  void clip_speculative(std::uint64_t tail_begin) {
    std::vector<JobPtr> needless;
    const auto clip = [&](const JobPtr& job) {
      if (!job->speculative || job->position >= job->end) return;
      job->end = std::min(job->end, std::max(tail_begin, job->position));
      if (job->position >= job->end) needless.push_back(job);
    };
    std::for_each(active.begin(), active.end(), clip);
    std::for_each(queue.begin(), queue.end(), clip);
    std::erase_if(queue, [&](const JobPtr& job) { return job->position >= job->end; });
    for (const auto& job : needless)
      finish(job);
  }
  // A speculative range that the server says lies beyond the end. If the tail then says otherwise, whoever
  // needs the bytes asks again, and with If-Match learns that the object has changed.
  void forget(const JobPtr& job) {
    for (auto& slice : asked) {
      if (slice.offset <= job->position && slice.offset + slice.length == job->end)
        slice.length = job->position - slice.offset;
    }
    job->end = job->position;
    finish(job);
  }
  std::optional<GetFailure> adopt(const JobPtr& job, const s3::GetResponse& response);
  void accept(const JobPtr& job, const ChunkPtr& chunk, std::uint64_t at, std::size_t size);
  awaitable<std::optional<GetFailure>> attempt(JobPtr job);
  awaitable<void> run_primary(JobPtr job);
  awaitable<void> run_hedge(JobPtr job);
};

// Checks an answer against the pinned version; nullopt: fits.
std::optional<GetFailure> Transfer::State::adopt(const JobPtr& job, const s3::GetResponse& response) {
  const auto other_version = [&](const std::string& what) {
    return GetFailure{
        {Errc::changed, source.display() + ": the object changed while it was read (" + what + ")"},
        Verdict::changed,
        std::nullopt};
  };
  if (!pinned) {
    pinned = ObjectInfo{response.object_size, response.etag};
  } else if (pinned->size != response.object_size) {
    return other_version("size " + std::to_string(response.object_size) + ", was " +
                         std::to_string(pinned->size));
  } else if (pinned->etag != response.etag) {
    return other_version("ETag " + printable(response.etag) + ", was " + printable(pinned->etag));
  }
  if (job->suffix && job->end == 0) {
    job->position = response.offset;
    job->end = response.offset + response.length;
    asked.push_back({response.offset, response.length});
    clip_speculative(response.offset);
  }
  if (job->speculative && response.offset + response.length < job->end &&
      response.offset + response.length == response.object_size) {
    job->end = response.object_size;
  }
  return std::nullopt;
}

// Hands on what is new of bytes [at, at + size) and moves the job forward.
void Transfer::State::accept(const JobPtr& job, const ChunkPtr& chunk, std::uint64_t at, std::size_t size) {
  const std::uint64_t to = std::min(at + size, job->end);
  if (failed || job->finished || to <= job->position) return;
  Piece piece{chunk, job->position,
              chunk->memory.subspan(static_cast<std::size_t>(job->position - at),
                                    static_cast<std::size_t>(to - job->position)),
              job->suffix};
  job->position = to;
  deliver(std::move(piece));
  if (job->position >= job->end) finish(job);
}

// One request and its body. Two attempts may work on one job: who is ahead delivers, the other's bytes are
// dropped.
awaitable<std::optional<GetFailure>> Transfer::State::attempt(JobPtr job) {
  const auto self = shared_from_this();
  s3::GetRequest request;
  if (job->suffix && job->end == 0) {
    request.range = s3::Suffix{job->suffix_length};
  } else {
    request.range = Slice{job->position, job->end - job->position};
  }
  if (pinned) request.if_match = pinned->etag;
  auto response = co_await source.get(std::move(request));
  if (failed || job->finished) co_return std::nullopt;
  if (!response) co_return std::move(response).error();
  if (auto mismatch = adopt(job, *response)) co_return mismatch;

  std::uint64_t at = response->offset;
  const std::uint64_t end = response->offset + response->length;
  if (at == end && job->position >= job->end) finish(job); // an empty object
  while (at < end && !job->finished && !failed) {
    job->paused = true;
    const ChunkPtr chunk = co_await pool.acquire(job->order);
    job->paused = false;
    chunk->offset = at;
    const std::size_t target = std::min<std::uint64_t>(chunk_size, end - at);
    std::size_t filled = 0;
    while (filled < target && !job->finished && !failed) {
      auto got = co_await response->body->read(chunk->memory.subspan(filled, target - filled));
      if (!got || *got == 0) {
        accept(job, chunk, at, filled); // go on from the byte where it broke
        if (!got) co_return std::move(got).error();
        co_return GetFailure{{Errc::network, "the body ended early"}, Verdict::retry_later, std::nullopt};
      }
      filled += *got;
      job->received += *got;
      counters.bytes += *got;
    }
    accept(job, chunk, at, filled);
    at += filled;
  }
  if (!job->finished && !failed) {
    co_return GetFailure{
        {Errc::network, "the answer was shorter than the range"}, Verdict::retry_later, std::nullopt};
  }
  co_return std::nullopt;
}

awaitable<void> Transfer::State::run_primary(JobPtr job) {
  const auto self = shared_from_this();
  unsigned immediate = 0;
  while (!job->finished && !failed) {
    const std::uint64_t before = job->position;
    auto failure = co_await attempt(job);
    if (!failure || job->finished || failed) co_return;
    if (failure->verdict == Verdict::out_of_range && job->speculative && job->position == before &&
        (!pinned || job->position >= pinned->size)) {
      forget(job);
      co_return;
    }
    if (failure->verdict == Verdict::out_of_range && job->suffix) {
      failure->failure = {Errc::bad_archive, source.display() + ": the object is empty, not a zip archive"};
    } else if (failure->verdict == Verdict::out_of_range && pinned) {
      failure->failure = {Errc::changed, source.display() + ": the object became shorter while it was read"};
      failure->verdict = Verdict::changed;
    }
    const bool again = failure->verdict == Verdict::retry_later || failure->verdict == Verdict::retry_now;
    // Perhaps nobody needs it; what is wrong with the object the answer to the tail tells.
    const bool needless = job->speculative && (!pinned || job->position >= pinned->size);
    if (failure->verdict == Verdict::fatal && needless) {
      forget(job);
      co_return;
    }
    if (!again) {
      fail(std::move(failure->failure));
      co_return;
    }
    ++counters.retries;
    if (job->position > before) {
      job->failures = 0;
      immediate = 0;
    }
    job->last_failure = failure->failure;
    if (trace != nullptr) {
      trace->instant("ranges", static_cast<unsigned>(job->order), "retry", Clock::now(),
                     {{"reason", failure->failure.message}, {"position", std::to_string(job->position)}});
    }
    if (failure->verdict == Verdict::retry_now && ++immediate <= max_immediate_retries) continue;
    ++job->failures;
    const double jitter = std::uniform_real_distribution<double>(0.0, 1.0)(random);
    const auto delay = options.retry.delay(job->failures, jitter, failure->retry_after);
    if (delay >= options.retry.deadline) { // the server asks for more time than there is
      give_up(*job);
      co_return;
    }
    asio::steady_timer timer(context, delay);
    co_await timer.async_wait(asio::use_awaitable); // throws when cancelled
  }
}

awaitable<void> Transfer::State::run_hedge(JobPtr job) {
  const auto self = shared_from_this();
  asio::steady_timer timer(context);
  std::uint64_t own_before = job->received;
  std::uint64_t all_before = counters.bytes;
  auto looked = Clock::now();
  while (!job->finished && !failed) {
    timer.expires_after(job->suffix || job->order == 0 ? options.hedge.directory : options.hedge.data);
    co_await timer.async_wait(asio::use_awaitable); // throws when cancelled
    if (job->finished || failed) co_return;
    HedgePolicy::Progress progress;
    progress.directory = job->order == 0;
    progress.waited_for = queue.empty() || incomplete.begin()->second == job.get();
    progress.paused = job->paused;
    progress.hedges = hedging;
    progress.bytes = job->received - own_before;
    const std::uint64_t all = counters.bytes - all_before;
    const auto now = Clock::now();
    progress.peers = expected_bytes(now - looked, all - std::min(all, progress.bytes));
    looked = now;
    own_before = job->received;
    all_before = counters.bytes;
    if (!options.hedge.should_hedge(progress)) continue;

    ++counters.hedges;
    ++hedging;
    const auto done = [this](void*) { --hedging; };
    const std::unique_ptr<void, decltype(done)> guard(this, done);
    if (trace != nullptr) {
      trace->instant("ranges", static_cast<unsigned>(job->order), "hedge", Clock::now(),
                     {{"position", std::to_string(job->position)}});
    }
    // Its failure is of no interest: the primary attempt is still there, and retries.
    const auto failure = co_await attempt(job);
    if (!failure) co_return;
    if (failure->verdict == Verdict::changed || failure->verdict == Verdict::fatal) co_return;
  }
}

void Transfer::State::start(const JobPtr& job) {
  active.push_back(job);
  job->started = Clock::now();
  job->progressed_to = job->position;
  if (watch_number == 0) {
    watch_number = ++last_watch;
    keep_watch();
  }
  update_head();
  const auto self = shared_from_this();
  // Holds the job: its signals must outlive the coroutines that listen to them.
  const auto ended = [self, job](const std::exception_ptr& error) {
    if (--self->running == 0) self->changed.cancel();
    if (!error) return;
    try {
      std::rethrow_exception(error);
    } catch (const boost::system::system_error& e) {
      if (e.code() == asio::error::operation_aborted) return; // cancelled by us
      self->fail({Errc::network, self->source.display() + ": " + e.what()});
    } catch (const std::exception& e) {
      self->fail({Errc::io, self->source.display() + ": " + e.what()});
    }
  };
  ++running;
  asio::co_spawn(context, run_primary(job), asio::bind_cancellation_slot(job->primary.slot(), ended));
  if (options.hedge.enabled) {
    ++running;
    asio::co_spawn(context, run_hedge(job), asio::bind_cancellation_slot(job->hedge.slot(), ended));
  }
}

Transfer::Transfer(asio::io_context& context, s3::ObjectSource& source, ChunkPool& pool,
                   TransferOptions options, Deliver deliver, Trace* trace)
    : state_(std::make_shared<State>(context, source, pool, options, std::move(deliver), trace)) {}

Transfer::~Transfer() {
  cancel({Errc::cancelled, "the transfer was given up"});
}

awaitable<result<ObjectInfo>> Transfer::begin(std::uint64_t tail, const std::vector<Slice>& front) {
  auto job = std::make_shared<Job>();
  job->suffix = true;
  job->suffix_length = tail;
  state_->incomplete.emplace(0, job.get());
  state_->start(job);
  for (const auto& slice : front) {
    auto part = state_->make_job(slice, state_->next_order++);
    part->speculative = true;
    state_->queue.push_back(std::move(part));
  }
  state_->start_queued();
  const auto state = state_;
  while (!job->finished && !state->failed)
    co_await state->wait_for_change();
  if (state->failed) co_return *state->failed;
  co_return *state->pinned;
}

awaitable<result<void>> Transfer::fetch_first(Slice slice) {
  const auto state = state_;
  auto job = state->make_job(slice, 0);
  state->start(job); // beyond the limit of connections: everything waits for it
  while (!job->finished && !state->failed)
    co_await state->wait_for_change();
  if (state->failed) co_return *state->failed;
  co_return result<void>{};
}

void Transfer::add(const std::vector<Slice>& slices) {
  for (const auto& slice : slices)
    state_->queue.push_back(state_->make_job(slice, state_->next_order++));
  state_->update_head();
  state_->start_queued();
}

void Transfer::abandon_unless(const std::function<bool(Slice)>& wanted) {
  const auto is_unwanted = [&](const JobPtr& job) {
    if (job->suffix || job->finished) return false;
    const std::uint64_t end = state_->pinned ? std::min(job->end, state_->pinned->size) : job->end;
    return job->position >= end || !wanted({job->position, end - job->position});
  };
  std::vector<JobPtr> unwanted;
  for (const auto& job : state_->active) {
    if (is_unwanted(job)) unwanted.push_back(job);
  }
  for (const auto& job : state_->queue) {
    if (is_unwanted(job)) unwanted.push_back(job);
  }
  std::erase_if(state_->queue, [&](const JobPtr& job) {
    return std::find(unwanted.begin(), unwanted.end(), job) != unwanted.end();
  });
  for (const auto& job : unwanted)
    state_->finish(job);
}

void Transfer::set_connections(unsigned connections) {
  state_->options.connections = std::max(1U, connections);
  state_->start_queued();
}

awaitable<result<void>> Transfer::drain() {
  const auto state = state_;
  while (!state->incomplete.empty() && !state->failed)
    co_await state->wait_for_change();
  if (state->failed) co_return *state->failed;
  co_return result<void>{};
}

void Transfer::cancel(Failure reason) {
  state_->fail(std::move(reason));
}

awaitable<void> Transfer::join() {
  const auto state = state_;
  while (state->running > 0)
    co_await state->wait_for_change();
}

const TransferCounters& Transfer::counters() const {
  return state_->counters;
}

std::vector<Slice> Transfer::asked() const {
  std::vector<Slice> out;
  const std::uint64_t size = state_->pinned ? state_->pinned->size : UINT64_MAX;
  for (const auto& slice : state_->asked) {
    if (slice.offset < size) out.push_back({slice.offset, std::min(slice.length, size - slice.offset)});
  }
  return out;
}

} // namespace tmpdump::fetch
