// SPDX-License-Identifier: Apache-2.0
// What may go wrong around one fetch, drawn from a seed: the same seed, the same story, everywhere.
#pragma once

#include "support/container_endpoint.h"
#include "support/dns_server.h"
#include "support/pipeline.h"

#include <functional>
#include <memory>
#include <optional>
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
const std::vector<Draw>& all_draws();
When random_when(Dice& dice);

// The server's certificate.
enum class Certificate { none, good, unknown_authority, expired, other_host };
Certificate random_certificate(Dice& dice);
FakeS3Options server_with(Certificate certificate);

// What lies around the server: names, clocks, credentials. Lives as long as the pipeline that it was made
// for.
class Surroundings {
public:
  Surroundings(Dice& dice, Pipeline& pipeline, Certificate certificate);
  // Tells the story, each part ended by "; ".
  [[nodiscard]] const std::string& told() const { return told_; }
  // Another server that has the same object.
  void holds(const BuiltZip& zip);
  [[nodiscard]] std::vector<std::string> secrets() const;

private:
  void names(Dice& dice, Pipeline& pipeline, const FakeS3Options& server);
  void keys(Dice& dice, Pipeline& pipeline);

  std::string told_;
  std::unique_ptr<FakeS3> second_; // at another address of the same name
  std::unique_ptr<ContainerEndpoint> endpoint_;
};

} // namespace tmpdump::test
