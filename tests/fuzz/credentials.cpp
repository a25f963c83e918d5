// SPDX-License-Identifier: Apache-2.0
// What the container credentials endpoint answers.
#include "credentials/answer.h"
#include "credentials/timestamp.h"
#include "fuzz.h"

using namespace tmpdump;
using namespace tmpdump::fuzz;

namespace {

constexpr std::string_view token = "planted-token";
const auto now = std::chrono::system_clock::from_time_t(1'900'000'000);

void check_header_text(std::string_view text) {
  for (const char c : text)
    require(c > ' ' && c <= '~', "what goes into a header can stand there");
}

} // namespace

FUZZ_TARGET(credentials) {
  const auto body = text_of(input.rest());
  const auto answer = credentials::parse_answer(body, now);
  if (answer) {
    require(!answer->access_key_id.empty() && !answer->secret_access_key.empty(), "there are keys");
    check_header_text(answer->access_key_id);
    check_header_text(answer->secret_access_key.reveal());
    check_header_text(answer->session_token.reveal());
    require(!answer->expires_at || *answer->expires_at > now, "they have not expired");
  } else {
    require_message(answer.error());
  }
  for (const unsigned status : {400U, 403U, 500U}) {
    const Failure failure = credentials::refusal(status, body, Secret(std::string(token)));
    require_message(failure);
    require(failure.message.find(token) == failure.message.npos, "the token is not repeated");
  }
  const auto time = credentials::parse_timestamp(body);
  if (!time) require_message(time.error());
}
