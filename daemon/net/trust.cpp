// SPDX-License-Identifier: Apache-2.0
#include "net/trust.h"

#include "net/builtin_roots.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <cerrno>
#include <unistd.h>

namespace tmpdump::net {
namespace {

template <auto Free>
struct Freer {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
template <class T, auto Free>
using Owned = std::unique_ptr<T, Freer<Free>>;

constexpr const char* usual_places[] = {
    "/etc/pki/tls/certs/ca-bundle.crt",   // Amazon Linux, Fedora
    "/etc/ssl/certs/ca-certificates.crt", // Debian, Alpine
    "/etc/ssl/cert.pem",
};

void add_builtin_roots(X509_STORE* store) {
  for (const std::string_view pem : builtin_roots()) {
    const Owned<BIO, BIO_free_all> in(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    const Owned<X509, X509_free> root(PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr));
    if (root) X509_STORE_add_cert(store, root.get());
  }
}

// Adds every certificate of a PEM file; ENOENT and the like are in errno when it returns false and `found` is
// 0.
bool add_file(X509_STORE* store, const std::string& file) {
  ERR_clear_error();
  bool loaded = false;
  do { // again when a signal interrupts it; what is in the store already is no error
    errno = 0;
    loaded = X509_STORE_load_file(store, file.c_str()) == 1;
  } while (!loaded && errno == EINTR);
  ERR_clear_error();
  return loaded;
}

std::string subject_of(X509_NAME* subject) {
  const Owned<BIO, BIO_free_all> out(BIO_new(BIO_s_mem()));
  if (subject == nullptr || X509_NAME_print_ex(out.get(), subject, 0, XN_FLAG_RFC2253) < 0) return "?";
  char* text = nullptr;
  const long size = BIO_get_mem_data(out.get(), &text);
  return printable({text, static_cast<std::size_t>(size)});
}

std::string explain(X509_STORE_CTX* chain) {
  const int code = X509_STORE_CTX_get_error(chain);
  std::string why = "certificate";
  if (X509* certificate = X509_STORE_CTX_get_current_cert(chain)) {
    why += " '" + subject_of(X509_get_subject_name(certificate)) + "' (issued by '" +
           subject_of(X509_get_issuer_name(certificate)) + "')";
  }
  why.append(": ").append(X509_verify_cert_error_string(code));
  switch (code) {
  case X509_V_ERR_HOSTNAME_MISMATCH:
  case X509_V_ERR_IP_ADDRESS_MISMATCH:
    return why + "; it was made for another host: check the endpoint";
  case X509_V_ERR_CERT_HAS_EXPIRED:
  case X509_V_ERR_CERT_NOT_YET_VALID:
    return why + "; check this machine's clock, or renew the certificate";
  default:
    return why + "; set AWS_CA_BUNDLE to a PEM file with the root that you trust for it";
  }
}

} // namespace

result<std::unique_ptr<Trust>> Trust::load(const std::string& ca_bundle, std::string system_bundle) {
  auto trust = std::make_unique<Trust>();
  trust->primary_.reset(X509_STORE_new());
  if (!trust->primary_) return Failure{Errc::io, "set up TLS: out of memory"};
  if (ca_bundle.empty()) {
    add_builtin_roots(trust->primary_.get());
    trust->system_bundle_ = std::move(system_bundle);
    return trust;
  }
  trust->has_fallback_ = false;
  if (::access(ca_bundle.c_str(), R_OK) != 0) {
    return local(system_failure("AWS_CA_BUNDLE: open '" + printable(ca_bundle) + "'", errno));
  }
  if (!add_file(trust->primary_.get(), ca_bundle)) {
    if (errno != 0) {
      return local(system_failure("AWS_CA_BUNDLE: read '" + printable(ca_bundle) + "'", errno));
    }
    return Failure{Errc::usage,
                   "AWS_CA_BUNDLE: '" + printable(ca_bundle) + "' holds no certificate in PEM form"};
  }
  return trust;
}

bool Trust::verify(X509_STORE_CTX* chain, std::string& why) {
  if (X509_verify_cert(chain) == 1) return true;
  const int code = X509_STORE_CTX_get_error(chain);
  const bool wrong_host = code == X509_V_ERR_HOSTNAME_MISMATCH || code == X509_V_ERR_IP_ADDRESS_MISMATCH;
  why = explain(chain);
  return !wrong_host && has_fallback_ && verify_with_system(chain, why);
}

bool Trust::verify_with_system(X509_STORE_CTX* chain, std::string& why) {
  X509_STORE* store = system();
  if (store == nullptr) return false;
  const Owned<X509_STORE_CTX, X509_STORE_CTX_free> again(X509_STORE_CTX_new());
  if (!again || X509_STORE_CTX_init(again.get(), store, X509_STORE_CTX_get0_cert(chain),
                                    X509_STORE_CTX_get0_untrusted(chain)) != 1) {
    return false;
  }
  // Purpose, host name, and flags are those of the first pass.
  if (X509_VERIFY_PARAM_set1(X509_STORE_CTX_get0_param(again.get()), X509_STORE_CTX_get0_param(chain)) != 1) {
    return false;
  }
  const bool good = X509_verify_cert(again.get()) == 1;
  X509_STORE_CTX_set_error(chain, X509_STORE_CTX_get_error(again.get()));
  if (!good) {
    why = explain(again.get());
    return false;
  }
  X509_STORE_CTX_set0_verified_chain(chain, X509_STORE_CTX_get1_chain(again.get()));
  return true;
}

X509_STORE* Trust::system() {
  if (system_) return system_->get();
  system_.emplace(X509_STORE_new());
  if (!system_bundle_.empty()) {
    if (add_file(system_->get(), system_bundle_)) return system_->get();
  } else {
    for (const char* place : usual_places) {
      if (add_file(system_->get(), place)) return system_->get();
    }
  }
  system_->reset();
  return nullptr;
}

} // namespace tmpdump::net
