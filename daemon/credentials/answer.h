// SPDX-License-Identifier: Apache-2.0
// What the container credentials endpoint answers: pure functions, input is hostile.
#pragma once

#include "base/error.h"
#include "base/secret.h"
#include "credentials/keys.h"

#include <chrono>
#include <string_view>

namespace tmpdump::credentials {

// {"AccessKeyId": "...", "SecretAccessKey": "...", "Token": "...", "Expiration": "2030-01-02T03:04:05Z"};
// Token and Expiration may be absent or null. Values that could not stand in a header, and credentials that
// have expired at `now`, are refused. No failure shows a value but Expiration.
result<Credentials> parse_answer(std::string_view body, std::chrono::system_clock::time_point now);

// The failure that stands for an answer other than 200: its status, and the body's "code" and "message" where
// it has them and they do not repeat the token that we sent.
Failure refusal(unsigned status, std::string_view body, const Secret& sent_token);

// 5xx and 429: worth asking again.
bool is_transient(unsigned status);

} // namespace tmpdump::credentials
