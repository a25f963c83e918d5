// SPDX-License-Identifier: Apache-2.0
// What may go wrong around one fetch and its server, drawn from a seed (support/fault_draws.h has the rest),
// and what such a fetch may end in.
#pragma once

#include "support/container_endpoint.h"
#include "support/dns_server.h"
#include "support/fault_draws.h"
#include "support/pipeline.h"

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace tmpdump::test {

// What the server speaks: plain text, or TLS that is well, or TLS that a client has to refuse.
enum class Tls { none, good, unknown_authority, expired, early, other_host, old };
Tls random_tls(Dice& dice);
FakeS3Options server_with(Tls tls);
inline bool to_be_refused(Tls tls) {
  return tls > Tls::good;
}

// Collects from what is drawn how a fetch may end besides in the tree. The rules are SECURITY.md's, not the
// code's.
class Ends {
public:
  void may(Errc code) { errors_.insert(code); }
  void may(const Fault& fault);
  // Something stays broken that is asked for until it is given up, with whatever was the last reason.
  void may_last();
  void may_change(std::uint64_t times); // the object: so many new starts
  // The server refuses at first for a reason that can be mended; this is it where the reason does not arrive.
  void may_unexplained(Errc code) { unexplained_.insert(code); }

  [[nodiscard]] bool lasts() const { return lasts_; }
  [[nodiscard]] bool surely_the_tree() const { return errors().empty(); }
  [[nodiscard]] std::set<Errc> errors() const;

private:
  void may(const ErrorAnswer& error, std::uint64_t times, bool always);

  std::set<Errc> errors_, unexplained_;
  bool lasts_ = false, hides_reasons_ = false;
  std::uint64_t changes_ = 0;
};

// What lies around the server: names, clocks, credentials. Lives as long as the pipeline that it was made
// for.
class Surroundings {
public:
  Surroundings(Dice& dice, Pipeline& pipeline, Tls tls, Ends& ends);
  // Tells the story, each part ended by "; ".
  [[nodiscard]] const std::string& told() const { return told_; }
  // Another server that has the same object, until that changes.
  void holds(const BuiltZip& zip);
  [[nodiscard]] bool has_another_server() const { return second_ != nullptr; }
  [[nodiscard]] std::vector<std::string> secrets() const;

private:
  struct Answers {
    std::vector<DnsRecord> before; // to the first questions
    DnsRecord then;
    std::string garbage;
  };
  void names(Dice& dice, Pipeline& pipeline, const FakeS3Options& server, Ends& ends);
  Answers failing_names(Dice& dice, std::uint64_t kind, Ends& ends);
  Answers moving_names(Dice& dice, Pipeline& pipeline, std::uint64_t kind, const FakeS3Options& server,
                       Ends& ends);
  bool start_another(Pipeline& pipeline, FakeS3Options server);
  void keys(Dice& dice, Pipeline& pipeline, Ends& ends);

  std::string told_;
  std::unique_ptr<FakeS3> second_; // at another address of the same name
  std::unique_ptr<ContainerEndpoint> endpoint_;
};

} // namespace tmpdump::test
