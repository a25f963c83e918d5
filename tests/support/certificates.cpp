// SPDX-License-Identifier: Apache-2.0
#include "support/certificates.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <stdexcept>

namespace tmpdump::test {
namespace {

struct Free {
  void operator()(X509* p) const { X509_free(p); }
  void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
  void operator()(BIO* p) const { BIO_free_all(p); }
  void operator()(X509_EXTENSION* p) const { X509_EXTENSION_free(p); }
};
template <class T>
using Owned = std::unique_ptr<T, Free>;

void require(bool good) {
  if (!good) throw std::runtime_error("OpenSSL cannot make the test's certificate");
}

template <class Write>
std::string pem(Write write) {
  const Owned<BIO> out(BIO_new(BIO_s_mem()));
  require(write(out.get()) == 1);
  char* text = nullptr;
  const long size = BIO_get_mem_data(out.get(), &text);
  return {text, static_cast<std::size_t>(size)};
}

std::string pem_of(X509* certificate) {
  return pem([&](BIO* out) { return PEM_write_bio_X509(out, certificate); });
}

std::string pem_of(EVP_PKEY* key) {
  return pem(
      [&](BIO* out) { return PEM_write_bio_PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr); });
}

void add_extension(X509* certificate, int nid, const std::string& value) {
  const Owned<X509_EXTENSION> extension(X509V3_EXT_conf_nid(nullptr, nullptr, nid, value.c_str()));
  require(extension && X509_add_ext(certificate, extension.get(), -1) == 1);
}

Owned<X509> unsigned_certificate(EVP_PKEY* key, const CertificateOptions& options) {
  Owned<X509> certificate(X509_new());
  X509* x = certificate.get();
  X509_set_version(x, X509_VERSION_3);
  std::uint32_t serial = 0;
  require(RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial) == 1);
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(x), serial);
  X509_gmtime_adj(X509_getm_notBefore(x), options.not_before);
  X509_gmtime_adj(X509_getm_notAfter(x), options.not_after);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(options.subject.c_str()), -1, -1, 0);
  X509_set_pubkey(x, key);
  if (!options.names.empty()) add_extension(x, NID_subject_alt_name, options.names);
  return certificate;
}

} // namespace

struct Authority::State {
  Owned<EVP_PKEY> key{EVP_EC_gen("P-256")};
  Owned<X509> certificate;
};

Authority::Authority(const std::string& subject) : state_(std::make_unique<State>()) {
  CertificateOptions options;
  options.subject = subject;
  options.names.clear();
  state_->certificate = unsigned_certificate(state_->key.get(), options);
  X509* x = state_->certificate.get();
  X509_set_issuer_name(x, X509_get_subject_name(x));
  add_extension(x, NID_basic_constraints, "critical,CA:TRUE");
  add_extension(x, NID_key_usage, "critical,keyCertSign,cRLSign");
  require(X509_sign(x, state_->key.get(), EVP_sha256()) > 0);
}

Authority::~Authority() = default;

std::string Authority::certificate() const {
  return pem_of(state_->certificate.get());
}

Identity Authority::issue(const CertificateOptions& options) const {
  const Owned<EVP_PKEY> key(options.rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256"));
  const auto certificate = unsigned_certificate(key.get(), options);
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(state_->certificate.get()));
  require(X509_sign(certificate.get(), state_->key.get(), EVP_sha256()) > 0);
  return {pem_of(certificate.get()), pem_of(key.get())};
}

Identity self_signed(const CertificateOptions& options) {
  const Owned<EVP_PKEY> key(EVP_EC_gen("P-256"));
  const auto certificate = unsigned_certificate(key.get(), options);
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(certificate.get()));
  require(X509_sign(certificate.get(), key.get(), EVP_sha256()) > 0);
  return {pem_of(certificate.get()), pem_of(key.get())};
}

} // namespace tmpdump::test
