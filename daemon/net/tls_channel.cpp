// SPDX-License-Identifier: Apache-2.0
#include "net/tls_channel.h"

#include "net/socket_io.h"

#include <boost/asio/ip/address.hpp>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>

namespace tmpdump::net {
namespace {

int bio_result(IoStatus status) {
  if (status == IoStatus::done) return 1;
  return status == IoStatus::end ? 0 : -1;
}

} // namespace

TlsChannel& TlsChannel::of(const SSL* ssl) {
  return *static_cast<TlsChannel*>(SSL_get_app_data(ssl));
}

result<std::unique_ptr<TlsChannel>> TlsChannel::create(std::shared_ptr<TlsContext> context,
                                                       const Origin& origin, int fd) {
  ERR_clear_error();
  auto channel = std::make_unique<TlsChannel>(std::move(context), origin, fd);
  if (!channel->ssl_ || !channel->set_up(origin)) {
    return Failure{Errc::network, "TLS to " + origin.display() + ": " + take_openssl_error()};
  }
  return channel;
}

TlsChannel::TlsChannel(std::shared_ptr<TlsContext> context, const Origin& origin, int fd)
    : context_(std::move(context)), session_key_(origin.host + ":" + std::to_string(origin.port)), fd_(fd),
      ssl_(SSL_new(context_->native())) {}

bool TlsChannel::set_up(const Origin& origin) {
  SSL* ssl = ssl_.get();
  SSL_set_app_data(ssl, this);
  BIO* bio = BIO_new(context_->socket_bio());
  if (bio == nullptr) return false;
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl, bio, bio);
  SSL_set_connect_state(ssl);

  boost::system::error_code not_literal;
  boost::asio::ip::make_address(origin.host, not_literal);
  if (!not_literal) { // RFC 6066 section 3: no server name for literals
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), origin.host.c_str()) != 1) return false;
  } else {
    std::string name = origin.host;
    if (name.ends_with('.')) name.pop_back(); // certificates and SNI know no root dot
    // RFC 9525 section 6.3: the subject's common name identifies no host, and "*" stands for a whole label.
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    if (name.empty() || SSL_set1_host(ssl, name.c_str()) != 1) return false;
    if (SSL_set_tlsext_host_name(ssl, name.c_str()) != 1) return false;
  }
  if (const SessionPtr session = context_->sessions().take(session_key_)) SSL_set_session(ssl, session.get());
  return true;
}

IoStatus TlsChannel::handshake() {
  ERR_clear_error();
  const int returned = SSL_do_handshake(ssl_.get());
  established_ = returned == 1;
  return established_ ? IoStatus::done : status_of(returned);
}

Io TlsChannel::read(MutableBytes out) {
  // A bound on one call, so that a fast peer does not keep the other connections waiting: some 100 us of
  // decryption.
  constexpr std::size_t most = std::size_t{256} * 1024;
  out = out.first(std::min(out.size(), most));
  if (ended_) return {*ended_, 0};
  std::size_t total = 0;
  while (total < out.size()) { // OpenSSL returns one record at a time
    ERR_clear_error();
    std::size_t got = 0;
    const int returned = SSL_read_ex(ssl_.get(), out.data() + total, out.size() - total, &got);
    if (returned != 1) {
      const IoStatus status = status_of(returned);
      // OpenSSL tells why it stopped only once; bytes that came before go first.
      if (status != IoStatus::want_read && status != IoStatus::want_write) ended_ = status;
      if (total > 0) break;
      return {status, 0};
    }
    total += got;
  }
  return {IoStatus::done, total};
}

Io TlsChannel::write(Bytes bytes) {
  ERR_clear_error();
  std::size_t written = 0;
  const int returned = SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &written);
  if (returned != 1) return {status_of(returned), 0};
  return {IoStatus::done, written};
}

void TlsChannel::say_goodbye() {
  if (!established_ || broken_) return;
  ERR_clear_error();
  SSL_shutdown(ssl_.get()); // also keeps SSL_free() from calling the session bad
  ERR_clear_error();
}

// Keeps the first reason: after a fatal error OpenSSL has less to say with each call.
IoStatus TlsChannel::status_of(int returned) {
  switch (SSL_get_error(ssl_.get(), returned)) {
  case SSL_ERROR_WANT_READ:
    return IoStatus::want_read;
  case SSL_ERROR_WANT_WRITE:
    return IoStatus::want_write;
  case SSL_ERROR_ZERO_RETURN:
    error_ = "the peer closed the connection";
    return IoStatus::end;
  case SSL_ERROR_SYSCALL:
    broken_ = true;
    if (error_.empty()) {
      error_ = boost::system::error_code(socket_errno_, boost::system::system_category()).message();
    }
    return status_of_errno(socket_errno_, IoStatus::failed);
  default:
    break;
  }
  broken_ = true;
  const bool was_cut =
      socket_ended_ && ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
  const bool is_plain = ERR_GET_REASON(ERR_peek_error()) == SSL_R_WRONG_VERSION_NUMBER;
  const std::string reason = take_openssl_error();
  if (error_.empty()) {
    error_ = !refusal_.empty() ? refusal_
             : was_cut         ? "the peer closed the connection without TLS's close_notify"
             : is_plain ? "the peer does not speak TLS; if it should not, the endpoint begins with http://"
                        : reason;
  }
  return was_cut ? IoStatus::cut : IoStatus::failed;
}

int TlsChannel::on_verify(X509_STORE_CTX* chain, void* /*unused*/) {
  const auto* ssl =
      static_cast<const SSL*>(X509_STORE_CTX_get_ex_data(chain, SSL_get_ex_data_X509_STORE_CTX_idx()));
  TlsChannel& self = of(ssl);
  const bool good = self.context_->trust().verify(chain, self.refusal_);
  if (good) self.refusal_.clear(); // what the built-in roots said before the system's were asked
  return good ? 1 : 0;
}

int TlsChannel::on_session(SSL* ssl, SSL_SESSION* session) {
  TlsChannel& self = of(ssl);
  self.context_->sessions().put(self.session_key_, SessionPtr(session));
  return 1; // the reference is ours now
}

// OpenSSL's own socket BIO writes without MSG_NOSIGNAL, and SIGPIPE would end the process.
BIO_METHOD* TlsChannel::make_socket_bio() {
  BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "tmpdump socket");
  if (method == nullptr) return nullptr;
  BIO_meth_set_read_ex(method, bio_read);
  BIO_meth_set_write_ex(method, bio_write);
  BIO_meth_set_ctrl(method, bio_control);
  return method;
}

int TlsChannel::bio_read(BIO* bio, char* out, std::size_t size, std::size_t* got) {
  auto& self = *static_cast<TlsChannel*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const Io io = socket_read(self.fd_, std::as_writable_bytes(std::span(out, size)), self.socket_errno_);
  if (io.status == IoStatus::want_read) BIO_set_retry_read(bio);
  self.socket_ended_ = io.status == IoStatus::end;
  *got = io.bytes;
  return bio_result(io.status);
}

int TlsChannel::bio_write(BIO* bio, const char* bytes, std::size_t size, std::size_t* written) {
  auto& self = *static_cast<TlsChannel*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const Io io = socket_write(self.fd_, std::as_bytes(std::span(bytes, size)), self.socket_errno_);
  if (io.status == IoStatus::want_write) BIO_set_retry_write(bio);
  *written = io.bytes;
  return bio_result(io.status);
}

long TlsChannel::bio_control(BIO* bio, int command, long /*number*/, void* /*pointer*/) {
  switch (command) {
  case BIO_CTRL_FLUSH:
    return 1;
  case BIO_CTRL_EOF:
    return static_cast<TlsChannel*>(BIO_get_data(bio))->socket_ended_ ? 1 : 0;
  default:
    return 0;
  }
}

} // namespace tmpdump::net
