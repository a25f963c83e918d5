// SPDX-License-Identifier: Apache-2.0
#include "net/tls_sessions.h"

#include <ctime>

namespace tmpdump::net {

void TlsSessions::put(const std::string& key, SessionPtr session) {
  auto& kept = sessions_[key];
  kept.push_back(std::move(session));
  if (kept.size() > most) kept.pop_front();
}

SessionPtr TlsSessions::take(const std::string& key) {
  const auto at = sessions_.find(key);
  if (at == sessions_.end()) return nullptr;
  auto& kept = at->second;
  while (!kept.empty()) {
    SSL_SESSION* newest = kept.back().get();
    const bool good = SSL_SESSION_is_resumable(newest) == 1 &&
                      std::time(nullptr) < SSL_SESSION_get_time(newest) + SSL_SESSION_get_timeout(newest);
    if (good && SSL_SESSION_get_protocol_version(newest) < TLS1_3_VERSION) {
      SSL_SESSION_up_ref(newest);
      return SessionPtr(newest);
    }
    SessionPtr taken = std::move(kept.back());
    kept.pop_back();
    if (good) return taken;
  }
  return nullptr;
}

} // namespace tmpdump::net
