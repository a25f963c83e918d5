// SPDX-License-Identifier: Apache-2.0
#include "support/fake_s3/certificate.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>
#include <stdexcept>
#include <string_view>

namespace tmpdump::test {
namespace {

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;

constexpr long day = 86'400; // seconds

void must(bool ok, const char* what) {
  if (!ok) throw std::runtime_error(std::string("the fake S3's certificate: ") + what);
}

Key make_key() {
  Key key(EVP_EC_gen("P-256"), &EVP_PKEY_free);
  must(key != nullptr, "no P-256 key");
  return key;
}

void add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  must(extension != nullptr, value.c_str());
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

Certificate make_certificate(EVP_PKEY* key, long serial, std::string_view common_name, long from, long to) {
  Certificate certificate(X509_new(), &X509_free);
  must(certificate != nullptr, "out of memory");
  X509_set_version(certificate.get(), X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), from);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), to);
  X509_set_pubkey(certificate.get(), key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(common_name.data()),
                             static_cast<int>(common_name.size()), -1, 0);
  return certificate;
}

bool is_address(const std::string& name) {
  in6_addr binary{};
  return inet_pton(AF_INET, name.c_str(), &binary) == 1 || inet_pton(AF_INET6, name.c_str(), &binary) == 1;
}

int choose_http_1_1(SSL*, const unsigned char** out, unsigned char* out_length, const unsigned char* offered,
                    unsigned offered_length, void*) {
  static constexpr std::string_view protocol("\x08http/1.1", 9);
  unsigned char* chosen = nullptr;
  const auto* wanted = reinterpret_cast<const unsigned char*>(protocol.data());
  if (SSL_select_next_proto(&chosen, out_length, wanted, protocol.size(), offered, offered_length) !=
      OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_NOACK;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

std::string pem_of(X509* certificate) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> memory(BIO_new(BIO_s_mem()), &BIO_free);
  must(PEM_write_bio_X509(memory.get(), certificate) == 1, "PEM");
  char* text = nullptr;
  const long length = BIO_get_mem_data(memory.get(), &text);
  return {text, static_cast<std::size_t>(length)};
}

} // namespace

ServerIdentity make_identity(const std::vector<std::string>& names, Validity validity, bool old) {
  const Key ca_key = make_key();
  const Certificate ca = make_certificate(ca_key.get(), 1, "tmpdump test authority", -800 * day, 30 * day);
  X509_set_issuer_name(ca.get(), X509_get_subject_name(ca.get()));
  add_extension(ca.get(), ca.get(), NID_basic_constraints, "critical,CA:TRUE");
  add_extension(ca.get(), ca.get(), NID_key_usage, "critical,keyCertSign");
  add_extension(ca.get(), ca.get(), NID_subject_key_identifier, "hash");
  must(X509_sign(ca.get(), ca_key.get(), EVP_sha256()) > 0, "signing the authority");

  const Key key = make_key();
  const Certificate leaf =
      make_certificate(key.get(), 2, "tmpdump test server", validity.from * day, validity.to * day);
  X509_set_issuer_name(leaf.get(), X509_get_subject_name(ca.get()));
  std::string alternatives;
  for (const std::string& name : names)
    alternatives += (alternatives.empty() ? "" : ",") + std::string(is_address(name) ? "IP:" : "DNS:") + name;
  add_extension(leaf.get(), ca.get(), NID_subject_alt_name, alternatives);
  add_extension(leaf.get(), ca.get(), NID_ext_key_usage, "serverAuth");
  add_extension(leaf.get(), ca.get(), NID_authority_key_identifier, "keyid");
  must(X509_sign(leaf.get(), ca_key.get(), EVP_sha256()) > 0, "signing the certificate");

  ServerIdentity identity;
  identity.context = std::shared_ptr<SSL_CTX>(SSL_CTX_new(TLS_server_method()), &SSL_CTX_free);
  must(identity.context != nullptr, "no TLS context");
  SSL_CTX_set_min_proto_version(identity.context.get(), old ? TLS1_1_VERSION : TLS1_2_VERSION);
  if (old) {
    SSL_CTX_set_max_proto_version(identity.context.get(), TLS1_1_VERSION);
    // OpenSSL 3 speaks it at its lowest level alone, where a handshake may be signed with SHA-1.
    SSL_CTX_set_cipher_list(identity.context.get(), "ALL:@SECLEVEL=0");
  }
  SSL_CTX_use_certificate(identity.context.get(), leaf.get());
  SSL_CTX_use_PrivateKey(identity.context.get(), key.get());
  must(SSL_CTX_check_private_key(identity.context.get()) == 1, "key and certificate differ");
  SSL_CTX_set_alpn_select_cb(identity.context.get(), &choose_http_1_1, nullptr);
  identity.ca_pem = pem_of(ca.get());
  return identity;
}

} // namespace tmpdump::test
