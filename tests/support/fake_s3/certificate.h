// SPDX-License-Identifier: Apache-2.0
// A throw-away certificate authority and a server certificate made by it.
#pragma once

#include <memory>
#include <string>
#include <vector>

struct ssl_ctx_st;

namespace tmpdump::test {

struct ServerIdentity {
  std::shared_ptr<ssl_ctx_st> context; // TLS 1.2 and 1.3 unless it is old, ALPN http/1.1
  std::string ca_pem;
};

struct Validity {
  long from = 0, to = 0; // days from now
};

// `names`: DNS names (wildcards too) and IP literals. `old`: no TLS but 1.1.
ServerIdentity make_identity(const std::vector<std::string>& names, Validity validity, bool old);

} // namespace tmpdump::test
