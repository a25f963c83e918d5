// SPDX-License-Identifier: Apache-2.0
// What a request is signed with. Apart from credentials.h, so that signing needs no network header.
#pragma once

#include "base/secret.h"

#include <chrono>
#include <optional>
#include <string>

namespace tmpdump::credentials {

struct Credentials {
  std::string access_key_id;
  Secret secret_access_key;
  Secret session_token;                                            // empty: none
  std::optional<std::chrono::system_clock::time_point> expires_at; // none: does not expire
};

} // namespace tmpdump::credentials
