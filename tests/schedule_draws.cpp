// SPDX-License-Identifier: Apache-2.0
#include "schedule_draws.h"

namespace tmpdump::test {

namespace {

constexpr const char* name = "s3.test"; // of the server, where names are played with

} // namespace

Certificate random_certificate(Dice& dice) {
  if (!dice.once_in(4)) return Certificate::none;
  if (!dice.once_in(6)) return Certificate::good;
  return dice.one_of<Certificate>(
      {Certificate::unknown_authority, Certificate::expired, Certificate::other_host});
}

FakeS3Options server_with(Certificate certificate) {
  FakeS3Options options = signed_only();
  options.credentials.push_back(keys_of("OLD", true));
  options.credentials.push_back(keys_of("NEW", false));
  options.tls = certificate != Certificate::none;
  options.tls_expired = certificate == Certificate::expired;
  options.tls_names = {name, "127.0.0.1"};
  if (certificate == Certificate::other_host) options.tls_names = {"s3.example.org"};
  return options;
}

Surroundings::Surroundings(Dice& dice, Pipeline& pipeline, Certificate certificate) {
  static const std::vector<std::string> kinds{"plain", "good certificate", "unknown authority",
                                              "expired certificate", "another host's certificate"};
  told_ = kinds[static_cast<std::size_t>(certificate)] + "; ";
  if (certificate != Certificate::none && certificate != Certificate::unknown_authority) {
    pipeline.scratch.write("ca.pem", pipeline.s3.ca_pem());
    pipeline.environment["AWS_CA_BUNDLE"] = pipeline.scratch.path("ca.pem");
  }
  if (dice.once_in(8)) {
    auto seconds = static_cast<std::int64_t>(1'000 + dice.below(3'000'000));
    if (dice.once_in(2)) seconds = -seconds;
    pipeline.s3.set_clock_offset(std::chrono::seconds(seconds));
    told_ += "the server's clock is " + std::to_string(seconds) + " s ahead; ";
  }
  switch (dice.below(5)) {
  case 0:
    names(dice, pipeline, server_with(certificate));
    break;
  case 1:
    keys(dice, pipeline);
    break;
  default:
    break;
  }
}

// The server has a name. Its answers fail at first, name dead addresses too, or an address dies midway.
void Surroundings::names(Dice& dice, Pipeline& pipeline, const FakeS3Options& server) {
  const auto port = pipeline.s3.port();
  pipeline.environment["AWS_ENDPOINT_URL_S3"] =
      (server.tls ? "https://" : "http://") + std::string(name) + ":" + std::to_string(port);
  DnsRecord good{.v4 = {"127.0.0.1"}};
  std::vector<DnsRecord> before; // answers to the first questions
  std::string garbage;
  switch (dice.below(6)) {
  case 0:
    told_ += "the name server fails; ";
    before.assign(2 * dice.below(8), DnsRecord{.rcode = 2});
    break;
  case 1:
    told_ += "the name is not known; ";
    before.assign(dice.once_in(2) ? 10'000 : 2 * dice.below(6), DnsRecord{.rcode = 3});
    break;
  case 2:
    told_ += "the name server is silent; ";
    before.assign(2 * dice.below(6), DnsRecord{.ignore_v4 = true, .ignore_v6 = true});
    break;
  case 3:
    told_ += "the name server sends garbage; ";
    garbage = "garbage";
    break;
  case 4:
    told_ += "some addresses are dead; ";
    for (auto count = 1 + dice.below(4); count > 0; --count)
      good.v4.insert(good.v4.begin(), "127.0.0." + std::to_string(10 + count));
    break;
  default: {
    told_ += "an address dies, another one serves; ";
    FakeS3Options other = server;
    other.address = "127.0.0.2";
    other.port = port;
    try {
      second_ = std::make_unique<FakeS3>(other);
    } catch (const std::exception&) { // another program has the port there
      told_ += "(not this time) ";
      break;
    }
    second_->create_bucket("bucket");
    if (server.tls) {
      pipeline.scratch.write("ca.pem", pipeline.s3.ca_pem() + second_->ca_pem());
    }
    good.v4.emplace_back("127.0.0.2");
    pipeline.s3.schedule(
        fault::at_connect(ConnectFault::reset).on({.skip = 1 + dice.below(5), .count = forever}));
    pipeline.s3.schedule(fault::unannounced_close().on(every_request()));
    break;
  }
  }
  pipeline.beside = [=, &pipeline](boost::asio::io_context& context) {
    auto dns = std::make_shared<DnsServer>(context);
    pipeline.network.nameservers = dns->address();
    dns->script([=](int question) {
      const auto index = static_cast<std::size_t>(question - 1);
      return index < before.size() ? before[index] : good;
    });
    if (!garbage.empty()) dns->garbage(garbage);
    return dns;
  };
}

// The keys come from an endpoint: at first they have expired, or the endpoint is not well.
void Surroundings::keys(Dice& dice, Pipeline& pipeline) {
  told_ += "keys from an endpoint:";
  std::vector<std::string> answers;
  for (auto count = dice.below(3); count > 0; --count) {
    answers.push_back(
        dice.one_of<std::string>({"OLD", "HTTP/1.1 500 Sorry\r\nContent-Length: 0\r\n\r\n",
                                  "HTTP/1.1 429 Later\r\nContent-Length: 0\r\n\r\n",
                                  "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"AccessKeyId\":\"N",
                                  "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "HTTP/"}));
  }
  answers.push_back(dice.once_in(8) ? "OLD" : "NEW");
  for (const auto& answer : answers)
    told_ += " " + printable(answer, 24);
  told_ += "; ";
  endpoint_ = std::make_unique<ContainerEndpoint>(pipeline, answers);
}

void Surroundings::holds(const BuiltZip& zip) {
  if (second_) second_->put("bucket", "lib.zip", zip.bytes);
}

std::vector<std::string> Surroundings::secrets() const {
  return {
      "pipeline/secret+key", "pipeline-session-token", "OLD-secret", "OLD-token", "NEW-secret", "NEW-token"};
}

} // namespace tmpdump::test
