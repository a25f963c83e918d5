// SPDX-License-Identifier: Apache-2.0
// What all TLS connections of a Network share: protocol settings, trusted roots, sessions to resume.
#pragma once

#include "net/tls_sessions.h"
#include "net/trust.h"

namespace tmpdump::net {

struct ContextFree {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
struct MethodFree {
  void operator()(BIO_METHOD* method) const { BIO_meth_free(method); }
};

class TlsContext {
public:
  static result<std::shared_ptr<TlsContext>> create(const std::string& ca_bundle, std::string system_bundle);
  TlsContext() = default;
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  [[nodiscard]] SSL_CTX* native() const { return context_.get(); }
  [[nodiscard]] const BIO_METHOD* socket_bio() const { return socket_bio_.get(); }
  [[nodiscard]] TlsSessions& sessions() { return sessions_; }
  [[nodiscard]] Trust& trust() { return *trust_; }

private:
  std::unique_ptr<Trust> trust_;
  std::unique_ptr<BIO_METHOD, MethodFree> socket_bio_;
  std::unique_ptr<SSL_CTX, ContextFree> context_;
  TlsSessions sessions_;
};

// The text of the oldest error in OpenSSL's queue, which is then emptied.
std::string take_openssl_error();

} // namespace tmpdump::net
