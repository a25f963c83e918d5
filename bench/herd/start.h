// SPDX-License-Identifier: Apache-2.0
// One cold start in the simulation: its requests, its connections, its share of the network.
#pragma once

#include "herd/events.h"
#include "herd/simulation.h"

#include <deque>
#include <memory>
#include <set>
#include <vector>

namespace tmpdump::herd {

class Start {
public:
  Start(const Setup& setup, Events& events, Throttle& throttle, std::uint64_t number);
  void begin(); // now
  [[nodiscard]] const Outcome& outcome() const { return outcome_; }

private:
  // Bytes are doubles: a flow is at any place between two events.
  struct Job;
  struct Attempt {
    Job* job = nullptr;
    double at = 0, end = 0;
    bool flowing = false, over = false, is_hedge = false;
  };
  using AttemptPtr = std::shared_ptr<Attempt>;
  struct Job {
    std::uint64_t order = 0;
    bool tail = false, speculative = false;
    double begin = 0, position = 0, end = 0; // bytes [position, end) are missing
    bool finished = false, backing_off = false;
    double started = 0, received = 0; // by the first attempt
    double looked = 0, received_then = 0, all_then = 0;
    AttemptPtr primary, hedge;
    unsigned failures = 0; // since it last received anything
    double progressed_to = 0;
    unsigned parts_without = 0; // of the deadline, since then
  };

  Job* make_job(fetch::Slice slice);
  void start_queued();
  void start(Job* job);
  void ask(Job* job, bool is_hedge);
  void send(const AttemptPtr& attempt);
  void refused(const AttemptPtr& attempt);
  void answered(const AttemptPtr& attempt);
  void retry(Job* job, double since);
  void watch();        // whether to give up
  void look(Job* job); // whether to hedge
  void finish(Job* job);
  void drop(const AttemptPtr& attempt);
  void directory_known();
  void end(bool ready);

  [[nodiscard]] double rate() const; // of each flow now
  void settle();                     // flows up to now
  void plan_flow();                  // the next event that a flow makes
  [[nodiscard]] double expected_bytes(double seconds, double by_others) const;

  const Setup& setup_;
  Events& events_;
  Throttle& throttle_;
  Chance chance_;
  Outcome outcome_;
  double begun_ = 0;
  bool ended_ = false, planned_ = false;

  std::vector<std::unique_ptr<Job>> jobs_;
  std::deque<Job*> queue_;
  std::vector<Job*> active_;
  std::set<std::pair<std::uint64_t, Job*>> incomplete_;
  std::uint64_t next_order_ = 1; // 0 is the tail's
  unsigned limit_ = 0;           // ranges in flight
  unsigned hedging_ = 0;
  unsigned idle_ = 0; // connections
  double usual_bytes_ = 0, usual_seconds_ = 0;

  std::vector<AttemptPtr> flows_;
  double settled_ = 0, received_ = 0; // bytes in all
  std::uint64_t flow_version_ = 0;
};

} // namespace tmpdump::herd
