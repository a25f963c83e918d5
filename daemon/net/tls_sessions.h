// SPDX-License-Identifier: Apache-2.0
// Sessions that later connections resume, so that only the first to a host pays for the server's certificate
// (and under TLS 1.2 for a round trip).
#pragma once

#include <openssl/ssl.h>

#include <deque>
#include <map>
#include <memory>
#include <string>

namespace tmpdump::net {

struct SessionFree {
  void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
};
using SessionPtr = std::unique_ptr<SSL_SESSION, SessionFree>;

class TlsSessions {
public:
  void put(const std::string& key, SessionPtr session);
  // The newest that is still good, or null. A TLS 1.3 ticket is handed out once (RFC 8446 appendix C.4: reuse
  // lets an observer link connections, and servers may refuse it); a TLS 1.2 session as often as it is good.
  SessionPtr take(const std::string& key);

private:
  // Tickets kept for one host: a server sends two a connection, and a burst of connections uses one each.
  static constexpr std::size_t most = 32;
  std::map<std::string, std::deque<SessionPtr>> sessions_;
};

} // namespace tmpdump::net
