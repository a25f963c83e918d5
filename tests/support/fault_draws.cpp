// SPDX-License-Identifier: Apache-2.0
#include "support/fault_draws.h"

namespace tmpdump::test {
namespace {

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
  // Any byte of any answer, the first ones as likely as the rest.
  const auto in_body = [](Dice& dice) {
    return dice.once_in(4) ? 0 : dice.below(std::uint64_t{1} << (1 + dice.below(21)));
  };
  return {
      {"reset", [=](Dice& d) { return fault::reset(in_body(d)); }},
      {"truncate", [=](Dice& d) { return fault::truncate(in_body(d)); }},
      {"stall", [=](Dice& d) { return fault::stall(in_body(d)); }},
      {"alert", [=](Dice& d) { return fault::alert(in_body(d)); }},
      {"bad record", [=](Dice& d) { return fault::bad_record(in_body(d)); }},
      {"cut header",
       [](Dice& d) {
         const auto after = d.below(700); // one by one: the order of arguments is the compiler's choice
         return fault::cut_header(after,
                                  d.one_of<Cut::How>({Cut::How::reset, Cut::How::close, Cut::How::stall,
                                                      Cut::How::alert, Cut::How::bad_record}));
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
         return fault::at_connect(d.one_of<ConnectFault>(
             {ConnectFault::reset, ConnectFault::close, ConnectFault::stall, ConnectFault::garbage,
              ConnectFault::tls_alert, ConnectFault::alert_after_handshake}));
       }},
      {"handshake",
       [](Dice& d) {
         const auto after = d.below(2'500); // it has some 1,500, certificate and tickets included
         return fault::in_handshake(
             after, d.one_of<ConnectFault>({ConnectFault::reset, ConnectFault::close, ConnectFault::stall,
                                            ConnectFault::garbage, ConnectFault::tls_alert}));
       }},
  };
}

std::vector<Draw> refusal_draws(const std::string& elsewhere) {
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
      {"any client error", [](Dice& d) { return any_error(d, 400, 100); }},
      {"any server error", [](Dice& d) { return any_error(d, 500, 100); }},
      {"precondition failed", [](Dice&) { return fault::precondition_failed(); }},
      {"range not satisfiable", [](Dice&) { return fault::range_not_satisfiable(); }},
      {"region redirect", [](Dice&) { return fault::region_redirect("eu-west-1"); }},
      {"redirect",
       [elsewhere](Dice& d) {
         const auto status = static_cast<unsigned>(300 + d.below(9));
         const std::string there = elsewhere + "/bucket/lib.zip";
         return fault::redirect(status, d.one_of<std::string>({there, there.substr(there.find("//")),
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
      {"gzip", [](Dice&) { return fault::gzip(); }},
      {"gzip in name", [](Dice&) { return fault::gzip_header(); }},
      {"content range",
       [](Dice& d) {
         return fault::wrong_content_range(
             d.one_of<std::string>({"bytes 1-2/3", "bytes 0-0/*", "bytes */5", "garbage", "bytes 5-1/9"}));
       }},
      {"shifted range",
       [](Dice& d) {
         const auto by = static_cast<std::int64_t>(1 + d.below(std::uint64_t{1} << (1 + d.below(18))));
         return fault::shifted_range(d.once_in(2) ? by : -by);
       }},
      {"range a byte off", [](Dice& d) { return fault::shifted_range(d.once_in(2) ? 1 : -1); }},
      {"range from the beginning", [](Dice&) { return fault::shifted_range(-(std::int64_t{1} << 40U)); }},
      {"range to the end", [](Dice&) { return fault::shifted_range(std::int64_t{1} << 40U); }},
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

} // namespace

std::vector<Draw> all_draws(const std::string& elsewhere) {
  std::vector<Draw> all = transport_draws();
  for (const auto& more : {refusal_draws(elsewhere), answer_draws()})
    all.insert(all.end(), more.begin(), more.end());
  return all;
}

Breakage break_by_chance(Dice& dice, FakeS3& server, const std::vector<Draw>& draws) {
  Breakage all;
  for (auto count = dice.below(6); count > 0; --count) {
    const auto& draw = dice.one_of(draws);
    const When when = random_when(dice);
    all.faults.push_back(draw.make(dice).on(when));
    all.told += std::string(draw.name) + " (skip " + std::to_string(when.skip) + ", every " +
                std::to_string(when.every) + ", count " + std::to_string(when.count) + "); ";
  }
  server.schedule(all.faults);
  return all;
}

} // namespace tmpdump::test
