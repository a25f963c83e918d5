// SPDX-License-Identifier: Apache-2.0
// Which certificates a chain may end in.
#pragma once

#include "base/error.h"

#include <openssl/x509_vfy.h>

#include <memory>
#include <optional>

namespace tmpdump::net {

struct StoreFree {
  void operator()(X509_STORE* store) const { X509_STORE_free(store); }
};
using StorePtr = std::unique_ptr<X509_STORE, StoreFree>;

// Parsing a system's bundle of some 140 roots takes about 30 ms, the five built-in roots well under 1 ms. So
// the bundle is read when a chain does not verify with the built-in roots, once, in the middle of that
// handshake: other than reconnecting it costs no round trip, and other than an X509_LOOKUP on the first store
// it is not triggered by every intermediate that the store does not hold.
class Trust {
public:
  // `ca_bundle` replaces everything else when not empty; `system_bundle`: empty for the usual places.
  static result<std::unique_ptr<Trust>> load(const std::string& ca_bundle, std::string system_bundle);

  [[nodiscard]] X509_STORE* primary() const { return primary_.get(); }
  // Verifies as OpenSSL would with the primary store, then with the system's. False: `why` says which
  // certificate, and what to do; `chain` carries the error code for the alert.
  bool verify(X509_STORE_CTX* chain, std::string& why);

private:
  bool verify_with_system(X509_STORE_CTX* chain, std::string& why);
  X509_STORE* system();

  StorePtr primary_;
  std::string system_bundle_;
  bool has_fallback_ = true;
  std::optional<StorePtr> system_; // null when there is none
};

} // namespace tmpdump::net
