// SPDX-License-Identifier: Apache-2.0
// What may go wrong with an S3's answers and connections, drawn from a seed: the same seed, the same story,
// everywhere.
#pragma once

#include "support/fake_s3.h"

#include <functional>
#include <random>
#include <string>
#include <vector>

namespace tmpdump::test {

class Dice {
public:
  explicit Dice(std::uint64_t seed) : engine_(seed) {}
  std::uint64_t below(std::uint64_t limit) { return engine_() % limit; }
  bool once_in(std::uint64_t n) { return below(n) == 0; }
  template <class T>
  const T& one_of(const std::vector<T>& all) {
    return all[below(all.size())];
  }

private:
  std::mt19937_64 engine_; // the same sequence everywhere, by the standard
};

// A fault of the server's answers, or of its connections.
struct Draw {
  const char* name;
  std::function<ScheduledFault(Dice&)> make;
};
// `elsewhere`: "http://host:port" of whom redirects lead to.
std::vector<Draw> all_draws(const std::string& elsewhere = "http://127.0.0.1:1");

struct Breakage {
  std::vector<Fault> faults; // as they were scheduled
  std::string told;          // each part ended by "; "
};
// Up to five of the draws.
Breakage break_by_chance(Dice& dice, FakeS3& server, const std::vector<Draw>& draws = all_draws());

} // namespace tmpdump::test
