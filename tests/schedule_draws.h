// SPDX-License-Identifier: Apache-2.0
// What may go wrong around one fetch and its server, drawn from a seed (support/fault_draws.h has the rest).
#pragma once

#include "support/container_endpoint.h"
#include "support/dns_server.h"
#include "support/fault_draws.h"
#include "support/pipeline.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tmpdump::test {

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
