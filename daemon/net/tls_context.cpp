// SPDX-License-Identifier: Apache-2.0
#include "net/tls_context.h"

#include "net/tls_channel.h"

#include <openssl/err.h>

#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace tmpdump::net {
namespace {

bool cpu_has_aes() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("aes") != 0;
#elif defined(__aarch64__)
  return (getauxval(AT_HWCAP) & HWCAP_AES) != 0;
#else
  return false;
#endif
}

// Bytes that one recv() may bring, kept per connection: four full records. More saves few system calls and
// leaves the core's L2 cache; less costs one system call per 16 KiB.
constexpr std::size_t read_buffer = 4 * std::size_t{SSL3_RT_MAX_PACKET_SIZE};

bool set_protocol(SSL_CTX* context) {
  // Forward secrecy and authenticated encryption only; with AES in the CPU its short keys are the cheapest.
  const bool aes = cpu_has_aes();
  const char* tls13 = aes ? "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
                          : "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384";
  const char* tls12 = aes ? "ECDHE+AES128+AESGCM:ECDHE+AES256+AESGCM:ECDHE+CHACHA20"
                          : "ECDHE+CHACHA20:ECDHE+AES128+AESGCM:ECDHE+AES256+AESGCM";
  static constexpr unsigned char http11[] = "\x08http/1.1";
  SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_read_ahead(context, 1);
  SSL_CTX_set_default_read_buffer_len(context, read_buffer);
  return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
         SSL_CTX_set_ciphersuites(context, tls13) == 1 && SSL_CTX_set_cipher_list(context, tls12) == 1 &&
         SSL_CTX_set_alpn_protos(context, http11, sizeof http11 - 1) == 0; // 0 is success, for this one
}

} // namespace

result<std::shared_ptr<TlsContext>> TlsContext::create(const std::string& ca_bundle,
                                                       std::string system_bundle) {
  // The machine's openssl.cnf is not ours: a static program must not depend on it, nor load modules for it.
  OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr);
  ERR_clear_error();
  auto self = std::make_shared<TlsContext>();
  TMPDUMP_TRY(self->trust_, Trust::load(ca_bundle, std::move(system_bundle)));
  self->socket_bio_.reset(TlsChannel::make_socket_bio());
  self->context_.reset(SSL_CTX_new(TLS_client_method()));
  SSL_CTX* context = self->context_.get();
  if (context == nullptr || !self->socket_bio_ || !set_protocol(context)) {
    return Failure{Errc::io, "set up TLS: " + take_openssl_error()};
  }
  SSL_CTX_set1_cert_store(context, self->trust_->primary());
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_cert_verify_callback(context, TlsChannel::on_verify, nullptr);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context, TlsChannel::on_session);
  return self;
}

std::string take_openssl_error() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return reason == nullptr ? "unknown error " + std::to_string(code) : reason;
}

} // namespace tmpdump::net
