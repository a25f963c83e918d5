// SPDX-License-Identifier: Apache-2.0
#include "schedule_draws.h"

#include <algorithm>

namespace tmpdump::test {

namespace {

constexpr const char* name = "s3.test";      // of the server, where names are played with
constexpr const char* another = "127.0.0.2"; // where a second server has the same port
constexpr const char* nowhere = "127.0.0.9"; // where nobody listens
constexpr std::uint64_t most_new_starts = 3; // as SECURITY.md says
constexpr std::uint64_t most_interim = 8;    // as SECURITY.md says

constexpr std::uint64_t name_kinds = 10, failing_kinds = 4;

// Once it is sent, less is left to ask for: it may strike what is left as another first attempt.
bool brings_something(const Fault& fault) {
  return fault.trickle || (fault.cut && fault.cut->part == Cut::Part::body && fault.cut->after > 0);
}

// Of what is harmless however often it comes.
bool is_within_the_rules(const Fault& fault) {
  const bool gzip_in_name =
      !fault.gzip && fault.headers.size() == 1 && fault.headers.front().name == "Content-Encoding";
  std::uint64_t interim = 0;
  for (auto at = fault.interim.find("HTTP/1.1 1"); at != std::string::npos;
       at = fault.interim.find("HTTP/1.1 1", at + 1))
    ++interim;
  return fault.http_1_0 || fault.connection_close || fault.close_after || gzip_in_name ||
         (interim > 0 && interim <= most_interim);
}

// What the SDKs retry (https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html), and a
// clock that can be set.
bool asks_to_be_repeated(const ErrorAnswer& error) {
  static const std::set<unsigned> statuses{408, 429, 500, 502, 503, 504, 509};
  static const std::set<std::string> all{
      "RequestTimeout",       "RequestTimeTooSkewed", "RequestExpired",     "SlowDown",
      "InternalError",        "Throttling",           "ServiceUnavailable", "BandwidthLimitExceeded",
      "RequestLimitExceeded", "ThrottlingException"};
  return statuses.contains(error.status) || all.contains(error.code);
}

} // namespace

void Ends::may_last() {
  lasts_ = true;
  errors_.insert({Errc::network, Errc::timeout});
}

void Ends::may_change(std::uint64_t times) {
  changes_ = std::min(changes_ + std::min(times, most_new_starts + 1), most_new_starts + 1);
}

std::set<Errc> Ends::errors() const {
  std::set<Errc> all = errors_;
  if (lasts_ || hides_reasons_) all.insert(unexplained_.begin(), unexplained_.end());
  if (changes_ > most_new_starts) all.insert(Errc::changed);
  return all;
}

void Ends::may(const ErrorAnswer& error, std::uint64_t times, bool always) {
  const auto is = [&](std::initializer_list<const char*> all) {
    return std::find(all.begin(), all.end(), error.code) != all.end();
  };
  const bool redirect = error.status == 301 || error.status == 307 || error.status == 308;
  if (redirect || is({"AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}))
    return may(Errc::network); // the region, followed once at most, and never anything else
  if (error.status == 412) return may_change(times);
  if (error.status == 416) { // "the object is empty", or has become shorter
    may(Errc::bad_archive);
    return may_change(times);
  }
  if (is({"ExpiredToken", "InvalidToken", "TokenRefreshRequired"})) return may(Errc::denied);
  const Errc by_status = error.status == 404                          ? Errc::not_found
                         : error.status == 401 || error.status == 403 ? Errc::denied
                                                                      : Errc::network;
  if (asks_to_be_repeated(error)) {
    if (!always) return;
    may_last();
    return may(by_status); // the last reason
  }
  may(is({"SignatureDoesNotMatch", "InvalidAccessKeyId"}) ? Errc::denied : by_status);
}

void Ends::may(const Fault& fault) {
  const When& when = fault.when;
  const bool first_only = when.first_attempts != forever && fault.connect == ConnectFault::none;
  const bool always = when.count == forever && (!first_only || brings_something(fault));
  const bool other_etag = fault.new_etag || fault.replace_object ||
                          std::any_of(fault.headers.begin(), fault.headers.end(),
                                      [](const auto& edit) { return edit.name == "ETag"; });
  if (fault.error) return may(*fault.error, when.count, always);
  if (other_etag) return may_change(when.count);
  if (fault.ignore_range) return may(Errc::network); // a server without ranges
  if (fault.gzip) hides_reasons_ = true;             // as nobody asked for
  if (always && !is_within_the_rules(fault)) may_last();
}

Tls random_tls(Dice& dice) {
  if (!dice.once_in(4)) return Tls::none;
  if (!dice.once_in(6)) return Tls::good;
  return dice.one_of<Tls>({Tls::unknown_authority, Tls::expired, Tls::early, Tls::other_host, Tls::old});
}

FakeS3Options server_with(Tls tls) {
  FakeS3Options options = signed_only();
  options.credentials.push_back(keys_of("OLD", true));
  options.credentials.push_back(keys_of("NEW", false));
  options.tls = tls != Tls::none;
  options.tls_expired = tls == Tls::expired;
  options.tls_early = tls == Tls::early;
  options.tls_old = tls == Tls::old;
  options.tls_names = {name, "127.0.0.1"};
  if (tls == Tls::other_host) options.tls_names = {"s3.example.org"};
  return options;
}

Surroundings::Surroundings(Dice& dice, Pipeline& pipeline, Tls tls, Ends& ends) {
  static const std::vector<std::string> kinds{"plain",
                                              "good TLS",
                                              "unknown authority",
                                              "expired certificate",
                                              "a certificate of tomorrow",
                                              "another host's certificate",
                                              "nothing newer than TLS 1.1"};
  told_ = kinds[static_cast<std::size_t>(tls)] + "; ";
  if (to_be_refused(tls)) ends.may(Errc::network);
  if (tls == Tls::old) ends.may_last();
  if (tls != Tls::none && tls != Tls::unknown_authority) {
    pipeline.scratch.write("ca.pem", pipeline.s3.ca_pem());
    pipeline.environment["AWS_CA_BUNDLE"] = pipeline.scratch.path("ca.pem");
  }
  if (dice.once_in(8)) {
    auto seconds = static_cast<std::int64_t>(1'000 + dice.below(3'000'000));
    if (dice.once_in(2)) seconds = -seconds;
    pipeline.s3.set_clock_offset(std::chrono::seconds(seconds));
    told_ += "the server's clock is " + std::to_string(seconds) + " s ahead; ";
    ends.may_unexplained(Errc::denied); // 403 RequestTimeTooSkewed
  }
  switch (dice.below(4)) {
  case 0:
    names(dice, pipeline, server_with(tls), ends);
    break;
  case 1:
    keys(dice, pipeline, ends);
    break;
  default:
    break;
  }
}

// The server has a name, and its answers are not what they should be.
void Surroundings::names(Dice& dice, Pipeline& pipeline, const FakeS3Options& server, Ends& ends) {
  pipeline.environment["AWS_ENDPOINT_URL_S3"] =
      (server.tls ? "https://" : "http://") + std::string(name) + ":" + std::to_string(pipeline.s3.port());
  const auto kind = dice.below(name_kinds);
  const Answers answers = kind < failing_kinds ? failing_names(dice, kind, ends)
                                               : moving_names(dice, pipeline, kind, server, ends);
  pipeline.beside = [answers, &pipeline](boost::asio::io_context& context) {
    auto dns = std::make_shared<DnsServer>(context);
    pipeline.network.nameservers = dns->address();
    dns->script([answers](int question) {
      const auto index = static_cast<std::size_t>(question - 1);
      return index < answers.before.size() ? answers.before[index] : answers.then;
    });
    if (!answers.garbage.empty()) dns->garbage(answers.garbage);
    return dns;
  };
}

// Each question is two: for addresses of either family.
Surroundings::Answers Surroundings::failing_names(Dice& dice, std::uint64_t kind, Ends& ends) {
  Answers answers{.before = {}, .then = {.v4 = {"127.0.0.1"}}, .garbage = {}};
  switch (kind) {
  case 0:
    told_ += "the name server fails; ";
    answers.before.assign(2 * dice.below(8), DnsRecord{.rcode = 2});
    break;
  case 1:
    told_ += "the name is not known; ";
    answers.before.assign(2 * dice.below(6), DnsRecord{.rcode = 3});
    if (dice.once_in(2)) {
      answers.then = {.rcode = 3};
      ends.may_last();
    }
    break;
  case 2:
    told_ += "the name server is silent; ";
    answers.before.assign(2 * dice.below(6), DnsRecord{.ignore_v4 = true, .ignore_v6 = true});
    break;
  default:
    told_ += "the name server sends garbage; ";
    answers.garbage = "garbage";
    ends.may_last();
    break;
  }
  return answers;
}

Surroundings::Answers Surroundings::moving_names(Dice& dice, Pipeline& pipeline, std::uint64_t kind,
                                                 const FakeS3Options& server, Ends& ends) {
  Answers answers{.before = {}, .then = {.v4 = {"127.0.0.1"}}, .garbage = {}};
  DnsRecord elsewhere{.v4 = {nowhere}, .ttl = dice.one_of<std::uint32_t>({0, 1, 60, 86'400})};
  const std::string ttl = ", TTL " + std::to_string(elsewhere.ttl) + "; ";
  const auto some = [&] { return 2 * (1 + dice.below(4)); };
  const auto wears_out = [&](FakeS3& one) {
    one.schedule(fault::at_connect(ConnectFault::reset).on({.skip = 1 + dice.below(5), .count = forever}));
    one.schedule(fault::unannounced_close().on(every_request()));
  };
  switch (kind) {
  case 4:
    told_ += "some addresses are dead; ";
    for (auto count = 1 + dice.below(4); count > 0; --count)
      answers.then.v4.insert(answers.then.v4.begin(), "127.0.0." + std::to_string(10 + count));
    break;
  case 5:
    told_ += "an address dies, another one serves; ";
    if (!start_another(pipeline, server)) break;
    answers.then.v4.emplace_back(another);
    wears_out(pipeline.s3);
    break;
  case 6:
    told_ += "the first addresses lead nowhere" + ttl;
    answers.before.assign(some(), elsewhere);
    break;
  case 7:
    told_ += "the name leads nowhere for a while" + ttl;
    answers.then.ttl = 0;
    answers.before.assign(some(), answers.then);
    answers.before.insert(answers.before.end(), some(), elsewhere);
    if (dice.once_in(4)) {
      told_ += "and for ever; ";
      answers.then = elsewhere;
      ends.may_last();
    }
    break;
  case 8:
    told_ += "the first address is gone midway" + ttl;
    if (!start_another(pipeline, server)) break;
    elsewhere.v4 = {another};
    answers.before.assign(some(), elsewhere);
    pipeline.observer.received =
        [this, left = dice.below(std::uint64_t{1} << (1 + dice.below(21)))](std::uint64_t bytes) mutable {
          if (bytes >= left) second_.reset();
          left -= std::min(left, bytes);
        };
    break;
  default:
    // Who listens there still takes connections, so that nothing but the TTL ends the answer.
    told_ += "the first address dies midway; ";
    if (!start_another(pipeline, server)) break;
    answers.before.assign(some(), DnsRecord{.v4 = {another}, .ttl = 0});
    second_->schedule(fault::cut_header(0, dice.one_of<Cut::How>({Cut::How::reset, Cut::How::close}))
                          .on({.skip = dice.below(5), .count = forever}));
    break;
  }
  return answers;
}

bool Surroundings::start_another(Pipeline& pipeline, FakeS3Options server) {
  server.address = another;
  server.port = pipeline.s3.port();
  try {
    second_ = std::make_unique<FakeS3>(server);
  } catch (const std::exception&) { // another program has the port there
    told_ += "(not this time) ";
    return false;
  }
  second_->create_bucket("bucket");
  if (server.tls) pipeline.scratch.write("ca.pem", pipeline.s3.ca_pem() + second_->ca_pem());
  return true;
}

// The keys come from an endpoint: at first they have expired, or the endpoint is not well.
void Surroundings::keys(Dice& dice, Pipeline& pipeline, Ends& ends) {
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
  const auto old = std::count(answers.begin(), answers.end(), "OLD");
  if (old > 0) ends.may_unexplained(Errc::network);               // 400 ExpiredToken
  if (old > 1 || answers.back() == "OLD") ends.may(Errc::denied); // they are asked for anew once
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
