// SPDX-License-Identifier: Apache-2.0
#include "herd/start.h"

#include <cmath>

namespace tmpdump::herd {

namespace {

constexpr double never = 1e18;
constexpr double crumb = 0.5;           // of a byte: where a flow's end is reached, roundings aside
constexpr unsigned deadline_parts = 16; // as in fetch/transfer.cpp

double seconds(fetch::milliseconds time) {
  return static_cast<double>(time.count()) / 1000;
}

} // namespace

Start::Start(const Setup& setup, Events& events, Throttle& throttle, std::uint64_t number)
    : setup_(setup), events_(events), throttle_(throttle), chance_(setup.seed, 2 * number + 1),
      limit_(setup.connections.value_or(fetch::max_default_connections)) {}

Start::Job* Start::make_job(fetch::Slice slice) {
  auto& job = jobs_.emplace_back(std::make_unique<Job>());
  job->order = next_order_++;
  job->begin = job->position = static_cast<double>(slice.offset);
  job->end = static_cast<double>(slice.offset + slice.length);
  incomplete_.emplace(job->order, job.get());
  return job.get();
}

// As Transfer::begin(): the tail, and beside it the front.
void Start::begin() {
  begun_ = settled_ = events_.now();
  const std::uint64_t tail = std::min(fetch::tail_length, setup_.workload.size);
  auto& job = jobs_.emplace_back(std::make_unique<Job>());
  job->tail = true;
  job->begin = job->position = static_cast<double>(setup_.workload.size - tail);
  job->end = static_cast<double>(setup_.workload.size);
  job->progressed_to = job->begin;
  incomplete_.emplace(0, job.get());
  start(job.get());
  events_.after(seconds(setup_.retry.deadline) / deadline_parts, [this] { watch(); });
  if (setup_.speculate) {
    for (const auto& slice : fetch::speculative_front()) {
      Job* part = make_job(slice);
      part->speculative = true;
      queue_.push_back(part);
    }
  }
  start_queued();
}

void Start::start_queued() {
  while (!ended_ && !queue_.empty() && active_.size() < limit_) {
    Job* job = queue_.front();
    queue_.pop_front();
    start(job);
  }
}

void Start::start(Job* job) {
  active_.push_back(job);
  job->started = job->looked = events_.now();
  job->all_then = received_;
  ask(job, false);
  const auto patience = job->order == 0 ? setup_.hedge.directory : setup_.hedge.data;
  if (setup_.hedge.enabled) events_.after(seconds(patience), [this, job] { look(job); });
}

void Start::ask(Job* job, bool is_hedge) {
  const auto attempt = std::make_shared<Attempt>();
  attempt->job = job;
  attempt->at = job->position;
  attempt->end = job->end;
  attempt->is_hedge = is_hedge;
  (is_hedge ? job->hedge : job->primary) = attempt;
  if (idle_ > 0) {
    --idle_;
    send(attempt);
    return;
  }
  ++outcome_.connections;
  events_.after(setup_.link.set_up, [this, attempt] { send(attempt); });
}

void Start::send(const AttemptPtr& attempt) {
  if (attempt->over || ended_) return;
  ++outcome_.requests;
  const bool taken = throttle_.admits(events_.now());
  const bool slow = taken && chance_.unit() < setup_.origin.slow_share;
  events_.after(slow ? setup_.origin.slow_first_byte : setup_.origin.first_byte, [this, attempt, taken] {
    if (!taken) ++outcome_.refused;
    if (attempt->over || ended_) return;
    taken ? answered(attempt) : refused(attempt);
  });
}

void Start::refused(const AttemptPtr& attempt) {
  ++idle_; // S3 keeps the connection
  attempt->over = true;
  Job* job = attempt->job;
  if (attempt->is_hedge) { // as if it had not been, until the next look
    job->hedge.reset();
    --hedging_;
    return;
  }
  retry(job, attempt->at);
}

// As the loop of Transfer::State::run_primary(); `since`: where the attempt that failed began.
void Start::retry(Job* job, double since) {
  if (job->position > since) job->failures = 0;
  ++job->failures;
  const double drawn = chance_.unit();
  const double random = setup_.jitter == Jitter::full    ? drawn
                        : setup_.jitter == Jitter::equal ? 0.5 + drawn / 2
                                                         : 1;
  const double delay = seconds(setup_.retry.delay(job->failures, random, std::nullopt));
  job->backing_off = true;
  events_.after(delay, [this, job] {
    job->backing_off = false;
    if (!job->finished && !ended_) ask(job, false);
  });
}

// As Transfer::State::keep_watch() and look_at().
void Start::watch() {
  if (ended_) return;
  settle();
  plan_flow();
  for (Job* job : active_) {
    if (job->position - job->progressed_to >= static_cast<double>(setup_.retry.progress)) {
      job->progressed_to = job->position;
      job->parts_without = 0;
    } else if (++job->parts_without + 1 >= deadline_parts) {
      end(false);
      return;
    }
  }
  events_.after(seconds(setup_.retry.deadline) / deadline_parts, [this] { watch(); });
}

void Start::answered(const AttemptPtr& attempt) {
  settle();
  Job* job = attempt->job;
  if (job->tail) { // the object's size is known: what the tail brings, the speculative ranges need not
    for (const auto& other : jobs_) {
      if (!other->speculative || other->finished) continue;
      other->end = std::min(other->end, std::max(job->begin, other->position));
      if (other->position >= other->end) {
        std::erase(queue_, other.get());
        finish(other.get());
      }
    }
  }
  attempt->flowing = true;
  flows_.push_back(attempt);
  plan_flow();
}

double Start::rate() const {
  const auto& link = setup_.link;
  const double all = received_ + crumb < link.burst_bytes ? link.burst_rate : link.sustained_rate;
  return std::min(link.connection_rate, all / static_cast<double>(std::max<std::size_t>(flows_.size(), 1)));
}

void Start::settle() {
  const double now = events_.now();
  const double each = rate() * (now - settled_);
  settled_ = now;
  for (const auto& flow : flows_) {
    const double bytes = std::min(each, flow->end - flow->at);
    flow->at += bytes;
    received_ += bytes;
    if (!flow->is_hedge) flow->job->received += bytes;
    flow->job->position = std::max(flow->job->position, flow->at);
  }
}

void Start::plan_flow() {
  const std::uint64_t version = ++flow_version_;
  if (flows_.empty() || ended_) return;
  double left = never;
  for (const auto& flow : flows_)
    left = std::min(left, std::min(flow->end, flow->job->end) - flow->at);
  const double until_slow = (setup_.link.burst_bytes - received_) / static_cast<double>(flows_.size());
  if (until_slow > crumb) left = std::min(left, until_slow);
  events_.after(std::max(left, 0.0) / rate(), [this, version] {
    if (version != flow_version_ || ended_) return;
    settle();
    for (const auto& flow : std::vector<AttemptPtr>(flows_)) {
      if (flow->over || flow->at + crumb < std::min(flow->end, flow->job->end)) continue;
      if (flow->at + crumb >= flow->end) { // read to its end: the connection can be used again
        std::erase(flows_, flow);
        flow->over = true;
        ++idle_;
      }
      flow->job->position = flow->job->end;
      finish(flow->job);
    }
    plan_flow();
  });
}

void Start::drop(const AttemptPtr& attempt) {
  if (!attempt) return;
  if (attempt->is_hedge) --hedging_;
  attempt->over = true; // with its connection, unless that was given back before
  std::erase(flows_, attempt);
}

void Start::finish(Job* job) {
  if (job->finished) return;
  job->finished = true;
  incomplete_.erase({job->order, job});
  std::erase(active_, job);
  if (!job->tail && job->received > 0) {
    usual_bytes_ = usual_bytes_ / 2 + job->received;
    usual_seconds_ = usual_seconds_ / 2 + events_.now() - job->started;
  }
  drop(job->primary);
  drop(job->hedge);
  if (job->tail) directory_known();
  events_.after(0, [this] { start_queued(); });
  if (planned_ && incomplete_.empty()) end(true);
}

void Start::directory_known() {
  planned_ = true;
  std::vector<fetch::Slice> had;
  for (const auto& job : jobs_)
    had.push_back(
        {static_cast<std::uint64_t>(job->begin), static_cast<std::uint64_t>(job->end - job->begin)});
  if (!setup_.connections)
    limit_ = fetch::choose_connections(setup_.workload.size, setup_.plan.range_size, had.size());
  auto plan = setup_.plan;
  plan.connections = limit_;
  plan.short_chain = 2 * plan.range_size; // as prefetch/prefetch.cpp
  for (const auto& slice : fetch::plan_ranges(setup_.workload.regions, had, plan))
    queue_.push_back(make_job(slice));
}

// As Transfer::State::expected_bytes().
double Start::expected_bytes(double time, double by_others) const {
  const double others = active_.size() > 1 ? static_cast<double>(active_.size() - 1) : 0;
  const double now = others == 0 ? 0 : by_others / others;
  if (usual_seconds_ <= 0) return now;
  return std::max(now, usual_bytes_ / usual_seconds_ * time);
}

// As the loop of Transfer::State::run_hedge().
void Start::look(Job* job) {
  if (job->finished || ended_) return;
  settle();
  plan_flow();
  const double now = events_.now();
  fetch::HedgePolicy::Progress progress;
  const double bytes = job->received - job->received_then;
  progress.directory = job->order == 0;
  progress.waited_for = queue_.empty() || incomplete_.begin()->second == job;
  progress.hedges = hedging_;
  progress.bytes = static_cast<std::uint64_t>(bytes);
  progress.peers =
      static_cast<std::uint64_t>(expected_bytes(now - job->looked, received_ - job->all_then - bytes));
  job->looked = now;
  job->received_then = job->received;
  job->all_then = received_;
  const bool may = !job->hedge && (setup_.hedge_in_backoff || !job->backing_off);
  if (may && setup_.hedge.should_hedge(progress)) {
    ++outcome_.hedges;
    ++hedging_;
    ask(job, true);
  }
  events_.after(seconds(job->order == 0 ? setup_.hedge.directory : setup_.hedge.data),
                [this, job] { look(job); });
}

void Start::end(bool ready) {
  settle();
  ended_ = true;
  flows_.clear();
  outcome_.ready = ready;
  outcome_.bytes = static_cast<std::uint64_t>(std::llround(received_));
  double delivered = 0;
  for (const auto& job : jobs_)
    delivered += job->position - job->begin;
  outcome_.delivered = static_cast<std::uint64_t>(std::llround(delivered));
  outcome_.seconds = events_.now() - begun_;
  if (!ready) return;
  // Decoding goes on beside: what it takes at least, all of it and the largest part, from the first answer
  // on.
  double all = 0, largest = 0;
  for (const auto& region : setup_.workload.regions) {
    all += static_cast<double>(region.cost);
    largest = std::max(largest, static_cast<double>(region.cost));
  }
  const double decoding = std::max(all / setup_.cores, largest) / setup_.workload.decode_rate;
  outcome_.seconds = std::max(outcome_.seconds, setup_.link.set_up + setup_.origin.first_byte + decoding);
}

} // namespace tmpdump::herd
