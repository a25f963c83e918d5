// SPDX-License-Identifier: Apache-2.0
// When credentials are replaced. Pure.
#pragma once

#include "credentials/keys.h"

namespace tmpdump::credentials {

enum class Freshness {
  fresh,   // use
  stale,   // ask for new ones; use these when that fails
  expired, // useless without new ones
};

// Long enough for a prefetch that signs its last request minutes after its first. More would gain nothing:
// Lambda's and ECS's endpoints hand out new credentials only in the last minutes.
inline constexpr std::chrono::minutes refresh_before_expiry{5};
// After a refresh that did not bring fresh ones, stale ones are used this long before the endpoint is asked
// again: asking costs a caller up to 3 s when it hangs.
inline constexpr std::chrono::seconds pause_between_refreshes{30};

inline Freshness freshness(const Credentials& credentials, std::chrono::system_clock::time_point now) {
  if (!credentials.expires_at || *credentials.expires_at - now >= refresh_before_expiry)
    return Freshness::fresh;
  return *credentials.expires_at > now ? Freshness::stale : Freshness::expired;
}

} // namespace tmpdump::credentials
