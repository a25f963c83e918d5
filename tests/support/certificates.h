// SPDX-License-Identifier: Apache-2.0
// Certificates made on the spot (EC P-256: a few milliseconds each).
#pragma once

#include <memory>
#include <optional>
#include <string>

namespace tmpdump::test {

struct Identity {
  std::string certificate; // PEM, with the issuer's behind it where there is one to send
  std::string key;         // PEM
};

struct CertificateOptions {
  std::string subject = "localhost";
  std::string names = "DNS:localhost"; // subjectAltName as OpenSSL's configuration writes it
  long not_before = -3600;             // seconds from now
  long not_after = 86400;
  bool rsa = false; // a key of RSA, which takes 0.1 s to make
};

class Authority {
public:
  explicit Authority(const std::string& subject);
  ~Authority();
  Authority(const Authority&) = delete;
  Authority& operator=(const Authority&) = delete;

  [[nodiscard]] std::string certificate() const; // PEM
  [[nodiscard]] Identity issue(const CertificateOptions& options) const;

private:
  struct State;
  std::unique_ptr<State> state_;
};

Identity self_signed(const CertificateOptions& options);

} // namespace tmpdump::test
