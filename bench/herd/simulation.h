// SPDX-License-Identifier: Apache-2.0
// Many cold starts of one function at once, as S3 and the network meet them: a discrete-event simulation in
// which each start asks for what fetch/range_plan.h says, in that order, and waits, gives up and asks twice
// as fetch/retry_policy.h says. What the daemon does between these functions (fetch/transfer.cpp) is done
// here again, without sockets and clocks. Deterministic: one seed, one result.
#pragma once

#include "fetch/range_plan.h"
#include "fetch/retry_policy.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tmpdump::herd {

struct Workload {
  std::string name;
  std::uint64_t size = 0; // bytes of the archive; its directory fits the tail
  std::vector<fetch::Region> regions;
  double decode_rate = 720e6; // bytes out a second and core: our inflate, bench/README.md
};
// The archives of bench/README.md, as their directories describe them.
Workload torch();
Workload torch_packed();
Workload face();

// One function's way to S3. Bytes a second and seconds.
struct Link {
  double connection_rate = 60e6;
  double burst_rate = 300e6; // for the first burst_bytes
  double burst_bytes = 300e6;
  double sustained_rate = 75e6;
  double set_up = 0.010; // of a new connection: TCP, and TLS 1.3 with verification
};

// A prefix admits `rate` requests a second, and `depth` at once after a pause (a token bucket); it answers
// the others with 503 SlowDown.
struct Origin {
  double rate = 5500;
  double depth = 5500;
  unsigned prefixes = 1; // with a copy of the archive each; a start takes one of them at random
  double first_byte = 0.025;
  double slow_first_byte = 0.150;
  double slow_share = 0.02;
};

enum class Jitter { full, equal, none }; // full: what the daemon does

struct Setup {
  unsigned starts = 1;
  double spread = 0.1;        // starts begin at random moments within so many seconds
  double starts_a_second = 0; // not 0: one after another at this rate, each up to `spread` late
  Workload workload = torch();
  Link link;
  Origin origin;
  fetch::PlanOptions plan;
  fetch::RetryPolicy retry;
  fetch::HedgePolicy hedge;
  Jitter jitter = Jitter::full;
  bool speculate = true;
  std::optional<unsigned> connections; // none: what the daemon chooses
  // Hedges are also sent while the first attempt waits to ask again.
  bool hedge_in_backoff = true;
  unsigned cores = 2;
  std::uint64_t seed = 1;
};

// What became of one start.
struct Outcome {
  bool ready = false;      // false: it gave up
  double seconds = 0;      // from its begin to ready, or until it gave up
  std::uint64_t bytes = 0; // received, those of hedges that lost included
  unsigned requests = 0;   // sent
  unsigned refused = 0;    // answered with 503
  unsigned hedges = 0;
  unsigned connections = 0;    // opened
  std::uint64_t delivered = 0; // bytes of the archive that arrived, each counted once
};

struct Result {
  std::vector<Outcome> outcomes;
  std::vector<std::vector<double>> admitted; // by prefix: when S3 took a request, in order
};

Result simulate(const Setup& setup);

} // namespace tmpdump::herd
