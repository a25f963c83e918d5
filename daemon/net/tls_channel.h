// SPDX-License-Identifier: Apache-2.0
// TLS on a non-blocking socket. OpenSSL reads the socket itself, several records at a time, and decrypts into
// the caller's buffer.
#pragma once

#include "base/bytes.h"
#include "net/io.h"
#include "net/network.h"
#include "net/tls_context.h"

namespace tmpdump::net {

class TlsChannel {
public:
  // `fd` is borrowed, and must outlive the channel's last call.
  static result<std::unique_ptr<TlsChannel>> create(std::shared_ptr<TlsContext> context, const Origin& origin,
                                                    int fd);
  TlsChannel(std::shared_ptr<TlsContext> context, const Origin& origin, int fd);
  TlsChannel(const TlsChannel&) = delete;
  TlsChannel& operator=(const TlsChannel&) = delete;

  IoStatus handshake(); // done, want_*, or a failure
  Io read(MutableBytes out);
  Io write(Bytes bytes);
  // close_notify, if the socket takes it at once: the peer is not waited for.
  void say_goodbye();
  [[nodiscard]] const std::string& error() const { return error_; }
  // Because we do not take the certificate: no other attempt will get a better one.
  [[nodiscard]] bool refused() const { return !refusal_.empty(); }

  // For TlsContext.
  static BIO_METHOD* make_socket_bio();
  static int on_verify(X509_STORE_CTX* chain, void* unused);
  static int on_session(SSL* ssl, SSL_SESSION* session);

private:
  struct SslFree {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };
  static TlsChannel& of(const SSL* ssl);
  static int bio_read(BIO* bio, char* out, std::size_t size, std::size_t* got);
  static int bio_write(BIO* bio, const char* bytes, std::size_t size, std::size_t* written);
  static long bio_control(BIO* bio, int command, long number, void* pointer);
  bool set_up(const Origin& origin);
  IoStatus status_of(int returned);

  std::shared_ptr<TlsContext> context_;
  std::string session_key_; // sessions are resumed only with the host that they were verified for
  int fd_;
  int socket_errno_ = 0;
  bool socket_ended_ = false, established_ = false, broken_ = false;
  std::optional<IoStatus> ended_; // how reading ended
  std::string refusal_;           // why the certificate was not accepted
  std::string error_;
  std::unique_ptr<SSL, SslFree> ssl_;
};

} // namespace tmpdump::net
