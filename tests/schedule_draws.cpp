// SPDX-License-Identifier: Apache-2.0
#include "schedule_draws.h"

namespace tmpdump::test {

namespace {

constexpr const char* name = "s3.test"; // of the server, where names are played with

// Codes that S3 sends with its errors, those that ask for a retry among them.
const std::vector<std::string>& codes() {
  static const std::vector<std::string> all{"AccessDenied",
                                            "AuthorizationHeaderMalformed",
                                            "BadRequest",
                                            "BandwidthLimitExceeded",
                                            "ExpiredToken",
                                            "IllegalLocationConstraintException",
                                            "InternalError",
                                            "InvalidAccessKeyId",
                                            "InvalidArgument",
                                            "InvalidObjectState",
                                            "InvalidRange",
                                            "InvalidRequest",
                                            "InvalidToken",
                                            "KMS.DisabledException",
                                            "MethodNotAllowed",
                                            "NoSuchBucket",
                                            "NoSuchKey",
                                            "NotImplemented",
                                            "PreconditionFailed",
                                            "RequestExpired",
                                            "RequestLimitExceeded",
                                            "RequestTimeTooSkewed",
                                            "RequestTimeout",
                                            "ServiceUnavailable",
                                            "SignatureDoesNotMatch",
                                            "SlowDown",
                                            "Throttling",
                                            "TokenRefreshRequired",
                                            "",
                                            "<![CDATA[",
                                            "&#0;&lt;/Code&gt;"};
  return all;
}

ScheduledFault any_error(Dice& dice, unsigned from, unsigned statuses) {
  const auto status = static_cast<unsigned>(from + dice.below(statuses));
  return fault::error(status, dice.one_of(codes()));
}

std::vector<Draw> transport_draws() {
  const auto in_body = [](Dice& dice) { return dice.once_in(4) ? 0 : dice.below(300'000); };
  return {
      {"reset", [=](Dice& d) { return fault::reset(in_body(d)); }},
      {"truncate", [=](Dice& d) { return fault::truncate(in_body(d)); }},
      {"stall", [=](Dice& d) { return fault::stall(in_body(d)); }},
      {"cut header",
       [](Dice& d) {
         const auto after = d.below(200); // one by one: the order of arguments is the compiler's choice
         return fault::cut_header(after,
                                  d.one_of<Cut::How>({Cut::How::reset, Cut::How::close, Cut::How::stall}));
       }},
      {"trickle",
       [](Dice& d) {
         const auto bytes = 2'000 + d.below(30'000);
         return fault::trickle(bytes, std::chrono::microseconds(d.below(3'000)));
       }},
      {"late", [](Dice& d) { return fault::late_first_byte(std::chrono::microseconds(d.below(200'000))); }},
      {"HTTP/1.0", [](Dice&) { return fault::http_1_0(); }},
      {"close", [](Dice&) { return fault::connection_close(); }},
      {"unannounced close", [](Dice&) { return fault::unannounced_close(); }},
      {"garbage", [](Dice&) { return fault::garbage(); }},
      {"connect",
       [](Dice& d) {
         return fault::at_connect(
             d.one_of<ConnectFault>({ConnectFault::reset, ConnectFault::close, ConnectFault::stall,
                                     ConnectFault::garbage, ConnectFault::tls_alert}));
       }},
  };
}

std::vector<Draw> refusal_draws() {
  return {
      {"slow down", [](Dice& d) { return d.once_in(4) ? fault::slow_down(0) : fault::slow_down(); }},
      {"internal error", [](Dice&) { return fault::internal_error(); }},
      {"too many requests", [](Dice&) { return fault::too_many_requests(); }},
      {"request timeout", [](Dice&) { return fault::request_timeout(); }},
      {"bad gateway",
       [](Dice& d) {
         return fault::error(d.one_of<unsigned>({502, 503, 504}), "ServiceUnavailable");
       }},
      {"skewed clock", [](Dice&) { return fault::error(403, "RequestTimeTooSkewed"); }},
      {"expired token", [](Dice&) { return fault::error(400, "ExpiredToken"); }},
      {"forbidden", [](Dice&) { return fault::forbidden(); }},
      {"no such key", [](Dice&) { return fault::no_such_key(); }},
      {"any client error", [](Dice& d) { return any_error(d, 400, 52); }},
      {"any server error", [](Dice& d) { return any_error(d, 500, 100); }},
      {"precondition failed", [](Dice&) { return fault::precondition_failed(); }},
      {"range not satisfiable", [](Dice&) { return fault::range_not_satisfiable(); }},
      {"region redirect", [](Dice&) { return fault::region_redirect("eu-west-1"); }},
      {"redirect",
       [](Dice& d) {
         const auto status = static_cast<unsigned>(300 + d.below(9));
         return fault::redirect(status, d.one_of<std::string>({"http://127.0.0.1:1/bucket/lib.zip",
                                                               "/bucket/lib.zip", "", "//"}));
       }},
      {"error in 200", [](Dice&) { return fault::error_in_200(); }},
  };
}

std::vector<Draw> answer_draws() {
  return {
      {"whole body", [](Dice&) { return fault::whole_body(); }},
      {"multipart", [](Dice&) { return fault::multipart(); }},
      {"chunked", [](Dice&) { return fault::chunked(); }},
      {"gzip", [](Dice&) { return fault::gzip_header(); }},
      {"content range",
       [](Dice& d) {
         return fault::wrong_content_range(
             d.one_of<std::string>({"bytes 1-2/3", "bytes 0-0/*", "bytes */5", "garbage", "bytes 5-1/9"}));
       }},
      {"content length", [](Dice& d) { return fault::wrong_content_length(d.once_in(2) ? 1 : -1); }},
      {"duplicate header", [](Dice&) { return fault::duplicate_header("Content-Length", "7"); }},
      {"no content range", [](Dice&) { return fault::remove_header("Content-Range"); }},
      {"interim",
       [](Dice& d) {
         std::string answers;
         for (auto count = 1 + d.below(30); count > 0; --count)
           answers +=
               d.one_of<std::string>({"HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 102 Processing\r\n\r\n",
                                      "HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n"});
         return fault::interim(answers);
       }},
      {"interim alone", [](Dice&) { return fault::garbage("HTTP/1.1 100 Continue\r\n\r\n"); }},
      {"new ETag", [](Dice&) { return fault::new_etag(); }},
      {"wrong ETag", [](Dice&) { return fault::wrong_etag(); }},
  };
}

} // namespace

const std::vector<Draw>& all_draws() {
  static const std::vector<Draw> all = [] {
    std::vector<Draw> out = transport_draws();
    for (const auto& more : {refusal_draws(), answer_draws()})
      out.insert(out.end(), more.begin(), more.end());
    return out;
  }();
  return all;
}

When random_when(Dice& dice) {
  When when;
  if (dice.once_in(4)) {
    when.first_attempts = 1;
    when.count = forever;
    return when;
  }
  when.skip = dice.below(6);
  when.count = dice.once_in(12) ? forever : 1 + dice.below(3);
  when.every = 1 + dice.below(2);
  return when;
}

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
