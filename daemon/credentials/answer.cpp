// SPDX-License-Identifier: Apache-2.0
#include "credentials/answer.h"

#include "credentials/timestamp.h"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <openssl/crypto.h>

#include <algorithm>
#include <initializer_list>
#include <string>

namespace tmpdump::credentials {
namespace {

namespace json = boost::json;

// A parsed answer whose texts are overwritten when it dies: they are keys.
class Answer {
public:
  explicit Answer(std::string_view body) {
    boost::system::error_code malformed;
    value_ = json::parse(body, malformed);
    if (malformed) value_ = nullptr;
  }
  Answer(const Answer&) = delete;
  Answer& operator=(const Answer&) = delete;
  ~Answer() {
    if (!value_.is_object()) return;
    for (auto& member : value_.get_object()) {
      if (auto* text = member.value().if_string()) OPENSSL_cleanse(text->data(), text->size());
    }
  }
  [[nodiscard]] const json::object* object() const { return value_.if_object(); }

private:
  json::value value_;
};

// The member's text; empty when it is absent, null, or empty.
result<std::string> member(const json::object& object, std::string_view name) {
  const json::value* const value = object.if_contains(name);
  if (value == nullptr || value->is_null()) return std::string();
  const json::string* const text = value->if_string();
  if (text == nullptr)
    return Failure{Errc::network, "the answer's " + std::string(name) + " is not a string"};
  if (std::any_of(text->begin(), text->end(), [](char c) { return c <= ' ' || c > '~'; }))
    return Failure{Errc::network,
                   "the answer's " + std::string(name) + " has characters that a header cannot hold"};
  return std::string(*text);
}

result<std::string> required(const json::object& object, std::string_view name) {
  TMPDUMP_TRY(std::string text, member(object, name));
  if (text.empty()) return Failure{Errc::network, "the answer has no " + std::string(name)};
  return text;
}

// For a message: the first of the members that is a string.
std::string shown(const json::object& object, std::initializer_list<std::string_view> names,
                  const Secret& sent_token) {
  for (const std::string_view name : names) {
    const json::value* const value = object.if_contains(name);
    if (value == nullptr || !value->is_string() || value->get_string().empty()) continue;
    const std::string_view text = value->get_string();
    const bool repeats_token = !sent_token.empty() && text.find(sent_token.reveal()) != text.npos;
    return repeats_token ? "(withheld: repeats the authorization token)" : printable(text, 200);
  }
  return {};
}

} // namespace

result<Credentials> parse_answer(std::string_view body, std::chrono::system_clock::time_point now) {
  const Answer answer(body);
  const auto* object = answer.object();
  if (object == nullptr) return Failure{Errc::network, "the answer is not a JSON object"};
  Credentials out;
  TMPDUMP_TRY(out.access_key_id, required(*object, "AccessKeyId"));
  TMPDUMP_TRY(std::string secret, required(*object, "SecretAccessKey"));
  out.secret_access_key = Secret(std::move(secret));
  TMPDUMP_TRY(std::string token, member(*object, "Token"));
  out.session_token = Secret(std::move(token));
  TMPDUMP_TRY(const std::string expiration, member(*object, "Expiration"));
  // Go's zero time is "none was set"; AWS's Lambda emulator answers so.
  if (expiration.empty() || expiration == "0001-01-01T00:00:00Z") return out;
  TMPDUMP_TRY(out.expires_at, parse_timestamp(expiration));
  if (*out.expires_at <= now)
    return Failure{Errc::denied, "the credentials have expired already, at " + expiration +
                                     ": is this machine's clock right?"};
  return out;
}

Failure refusal(unsigned status, std::string_view body, const Secret& sent_token) {
  std::string message = "HTTP " + std::to_string(status);
  const Answer answer(body);
  if (const auto* object = answer.object()) {
    const std::string code = shown(*object, {"code", "Code", "errorCode", "errorType"}, sent_token);
    const std::string text = shown(*object, {"message", "Message", "errorMessage"}, sent_token);
    if (!code.empty() || !text.empty())
      message.append(" (")
          .append(code)
          .append(!code.empty() && !text.empty() ? ": " : "")
          .append(text)
          .append(")");
  }
  const bool refused = status >= 400 && status < 500 && !is_transient(status);
  return {refused ? Errc::denied : Errc::network, std::move(message)};
}

bool is_transient(unsigned status) {
  return status == 429 || (status >= 500 && status < 600);
}

} // namespace tmpdump::credentials
