// SPDX-License-Identifier: Apache-2.0
#include "credentials/answer.h"
#include "credentials/freshness.h"
#include "credentials/timestamp.h"
#include "support/catch.h"

using namespace tmpdump;
using namespace tmpdump::credentials;
using namespace std::chrono;

namespace {

const system_clock::time_point new_year = sys_days{January / 1 / 2030};

constexpr std::string_view whole_answer =
    R"({"AccessKeyId": "ASIA", "SecretAccessKey": "HIDDEN1", "Token": "HIDDEN2", )"
    R"("Expiration": "2030-01-02T03:04:05Z", "RoleArn": "arn:aws:iam::1:role/r", "Other": [1, {"a": null}]})";

std::string error_of(std::string_view body) {
  const auto parsed = parse_answer(body, new_year);
  return parsed ? "(no error)" : parsed.error().message;
}

} // namespace

TEST_CASE("an answer has keys, and perhaps a token and an end") {
  const Credentials whole = parse_answer(whole_answer, new_year).value();
  CHECK(whole.access_key_id == "ASIA");
  CHECK(whole.secret_access_key.reveal() == "HIDDEN1");
  CHECK(whole.session_token.reveal() == "HIDDEN2");
  CHECK(whole.expires_at == new_year + hours(27) + minutes(4) + seconds(5));
  for (const char* const body :
       {R"({"AccessKeyId":"a","SecretAccessKey":"b"})",
        R"({"AccessKeyId":"a","SecretAccessKey":"b","Token":null,"Expiration":null})",
        R"({"AccessKeyId":"a","SecretAccessKey":"b","Token":"","Expiration":""})",
        R"({"AccessKeyId":"a","SecretAccessKey":"b","Expiration":"0001-01-01T00:00:00Z"})"}) {
    const Credentials bare = parse_answer(body, new_year).value();
    CHECK(bare.session_token.empty());
    CHECK_FALSE(bare.expires_at);
  }
}

TEST_CASE("an answer cut anywhere is refused and shows no secret") {
  for (std::size_t length = 0; length < whole_answer.size(); ++length)
    CHECK(error_of(whole_answer.substr(0, length)) == "the answer is not a JSON object");
}

TEST_CASE("an answer with any byte changed is parsed or refused, and a refusal shows no secret") {
  for (std::size_t at = 0; at < whole_answer.size(); ++at)
    for (int byte = 0; byte < 256; ++byte) {
      std::string mutated(whole_answer);
      mutated[at] = static_cast<char>(byte);
      if (error_of(mutated).find("HIDDEN") != std::string::npos) FAIL(mutated);
    }
}

TEST_CASE("an answer that is not credentials says what is wrong") {
  CHECK(error_of("[]") == "the answer is not a JSON object");
  CHECK(error_of(std::string(100'000, '[')) == "the answer is not a JSON object");
  CHECK(error_of("{}") == "the answer has no AccessKeyId");
  CHECK(error_of(R"({"AccessKeyId":""})") == "the answer has no AccessKeyId");
  CHECK(error_of(R"({"AccessKeyId":"a"})") == "the answer has no SecretAccessKey");
  CHECK(error_of(R"({"AccessKeyId":1})") == "the answer's AccessKeyId is not a string");
  CHECK(error_of(R"({"AccessKeyId":"a\r\nb"})") ==
        "the answer's AccessKeyId has characters that a header cannot hold");
  CHECK(error_of(R"({"AccessKeyId":"a","SecretAccessKey":"b","Token":"x\u0000"})") ==
        "the answer's Token has characters that a header cannot hold");
  CHECK(error_of(R"({"AccessKeyId":"a","SecretAccessKey":"b","Expiration":"soon"})") ==
        "'soon' is not a time such as 2030-01-02T03:04:05Z");
  CHECK(error_of(R"({"AccessKeyId":"a","SecretAccessKey":"b","Expiration":"2030-01-01T00:00:00Z"})") ==
        "the credentials have expired already, at 2030-01-01T00:00:00Z: is this machine's clock right?");
}

TEST_CASE("a refusal shows status, code, and message, and nothing else") {
  const Secret token(std::string("HIDDEN"));
  CHECK(refusal(500, "", token).message == "HTTP 500");
  CHECK(refusal(500, "<html>HIDDEN", token).message == "HTTP 500");
  CHECK(refusal(404, R"({"Code":"NoRole","Message":"none"})", token).message == "HTTP 404 (NoRole: none)");
  CHECK(refusal(400, R"({"code":"x"})", {}).message == "HTTP 400 (x)");
  CHECK(refusal(400, R"({"code":7,"message":"m","SecretAccessKey":"HIDDEN"})", {}).message == "HTTP 400 (m)");
  CHECK(refusal(400, R"({"message":"\u001b[2J"})", {}).message == "HTTP 400 (\\x1b[2J)");
  CHECK(refusal(400, R"({"message":"got HIDDEN"})", token).message.find("HIDDEN") == std::string::npos);
  CHECK(refusal(400, "{\"message\":\"" + std::string(5000, 'm') + "\"}", {}).message.size() < 300);
  CHECK(refusal(403, "", token).code == Errc::denied);
  CHECK(refusal(429, "", token).code == Errc::network);
  CHECK(refusal(503, "", token).code == Errc::network);
  CHECK(refusal(204, "", token).code == Errc::network);
  for (const unsigned status : {429U, 500U, 503U, 599U})
    CHECK(is_transient(status));
  for (const unsigned status : {200U, 301U, 400U, 403U, 404U, 600U})
    CHECK_FALSE(is_transient(status));
}

TEST_CASE("timestamps") {
  const auto at = [](std::string_view text) { return parse_timestamp(text).value(); };
  CHECK(at("2030-01-01T00:00:00Z") == new_year);
  CHECK(at("2030-01-01t00:00:00.123456789z") == new_year);
  CHECK(at("2030-01-01T01:00:00+01:00") == new_year);
  CHECK(at("2029-12-31T18:30:00-05:30") == new_year);
  CHECK(at("2028-02-29T23:59:60Z") == sys_days{March / 1 / 2028});
  CHECK(at("1970-01-01T00:00:00Z") == system_clock::time_point{});
  CHECK(at("0001-01-01T00:00:00Z") == system_clock::time_point{});
  CHECK(at("9999-12-31T23:59:59Z") == sys_days{January / 1 / 2200});
  CHECK(at("2199-12-31T23:59:59Z") == sys_days{January / 1 / 2200} - seconds(1));
}

TEST_CASE("what is nearly a timestamp is none") {
  const std::string whole = "2030-01-02T03:04:05.6+07:08";
  for (std::size_t length = 0; length < whole.size(); ++length)
    CHECK(parse_timestamp(whole.substr(0, length)).has_error());
  for (const char* const text :
       {"2030-13-01T00:00:00Z", "2030-00-01T00:00:00Z", "2030-02-29T00:00:00Z", "2100-02-29T00:00:00Z",
        "2030-01-32T00:00:00Z", "2030-01-01T24:00:00Z", "2030-01-01T00:60:00Z", "2030-01-01T00:00:61Z",
        "2030-01-01T00:00:00", "2030-01-01T00:00:00Zx", "2030-01-01T00:00:00.Z", "2030-01-01T00:00:00+24:00",
        "20300101T000000Z", "-030-01-01T00:00:00Z", " 2030-01-01T00:00:00Z", "2030-01-01T00:00:00+0100"})
    CHECK(parse_timestamp(text).has_error());
  for (std::size_t at = 0; at < whole.size(); ++at)
    for (int byte = 0; byte < 256; ++byte) {
      std::string mutated = whole;
      mutated[at] = static_cast<char>(byte);
      const auto time = parse_timestamp(mutated); // must only not crash, and stay in its span
      if (time) CHECK(*time <= sys_days{January / 2 / 2200});
    }
}

TEST_CASE("freshness") {
  Credentials keys;
  CHECK(freshness(keys, new_year) == Freshness::fresh);
  keys.expires_at = new_year;
  CHECK(freshness(keys, new_year - minutes(5)) == Freshness::fresh);
  CHECK(freshness(keys, new_year - minutes(5) + milliseconds(1)) == Freshness::stale);
  CHECK(freshness(keys, new_year - milliseconds(1)) == Freshness::stale);
  CHECK(freshness(keys, new_year) == Freshness::expired);
  CHECK(freshness(keys, new_year + hours(1)) == Freshness::expired);
}
