// SPDX-License-Identifier: Apache-2.0
#include "support/raw_client.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <charconv>
#include <netinet/in.h>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/time.h>

namespace tmpdump::test {
namespace {

UniqueFd connected(std::uint16_t port) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
    throw std::runtime_error("cannot connect to the fake S3");
  return fd;
}

using Context = std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)>;

Context trusting(const std::string& ca_pem) {
  Context context(SSL_CTX_new(TLS_client_method()), &SSL_CTX_free);
  const std::unique_ptr<BIO, decltype(&BIO_free)> memory(
      BIO_new_mem_buf(ca_pem.data(), static_cast<int>(ca_pem.size())), &BIO_free);
  const std::unique_ptr<X509, decltype(&X509_free)> ca(
      PEM_read_bio_X509(memory.get(), nullptr, nullptr, nullptr), &X509_free);
  X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), ca.get());
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  return context;
}

std::string lowered(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  return out;
}

std::uint64_t number(std::string_view text, int base) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value, base);
  return value;
}

// What OpenSSL last complained of is the peer's, not its own.
bool was_alert() {
  const int reason = ERR_GET_REASON(ERR_peek_error());
  return reason >= SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256;
}

} // namespace

std::string RawResponse::header(std::string_view name) const {
  for (const auto& [key, value] : headers)
    if (key == name) return value;
  return {};
}
std::size_t RawResponse::count(std::string_view name) const {
  return static_cast<std::size_t>(
      std::ranges::count_if(headers, [&](const auto& header) { return header.first == name; }));
}

RawClient::RawClient(std::uint16_t port) : fd_(connected(port)), ssl_(nullptr, &SSL_free) {
  set_patience(10'000);
}

RawClient::RawClient(std::uint16_t port, const std::string& ca_pem, const std::string& name)
    : RawClient(port) {
  ssl_.reset(SSL_new(trusting(ca_pem).get()));
  SSL_set_tlsext_host_name(ssl_.get(), name.c_str());
  SSL_set1_host(ssl_.get(), name.c_str());
  // Memory BIOs: OpenSSL's own socket BIO would raise SIGPIPE where the server has left.
  SSL_set_bio(ssl_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  for (;;) {
    ERR_clear_error();
    const int status = SSL_connect(ssl_.get());
    flush();
    secured_ = status == 1;
    if (secured_ || SSL_get_error(ssl_.get(), status) != SSL_ERROR_WANT_READ) break;
    std::string records;
    if (!read_socket(records)) return;
    BIO_write(SSL_get_rbio(ssl_.get()), records.data(), static_cast<int>(records.size()));
  }
  if (!secured_) {
    ending_ = was_alert() ? Ending::alert : Ending::closed;
  }
}

RawClient::~RawClient() = default;

void RawClient::set_patience(int milliseconds) {
  const timeval patience{.tv_sec = milliseconds / 1000, .tv_usec = (milliseconds % 1000) * 1000L};
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
}

void RawClient::send(std::string_view bytes) {
  if (ssl_) {
    SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()));
    flush();
  } else {
    write_socket(bytes);
  }
}

void RawClient::write_socket(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return; // what the server thinks of it shows when reading
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

void RawClient::flush() {
  BIO* outgoing = SSL_get_wbio(ssl_.get());
  char* bytes = nullptr;
  const long pending = BIO_get_mem_data(outgoing, &bytes);
  if (pending > 0) write_socket({bytes, static_cast<std::size_t>(pending)});
  static_cast<void>(BIO_reset(outgoing));
}

bool RawClient::read_socket(std::string& out) {
  std::array<char, 65'536> bytes; // NOLINT(cppcoreguidelines-pro-type-member-init): filled by the read
  const ssize_t n = ::recv(fd_.get(), bytes.data(), bytes.size(), 0);
  if (n > 0) {
    out.append(bytes.data(), static_cast<std::size_t>(n));
    return true;
  }
  if (n == 0)
    ending_ = Ending::closed;
  else
    ending_ = errno == EAGAIN ? Ending::silent : Ending::reset;
  return false;
}

bool RawClient::read_secured() {
  std::array<char, 65'536> bytes; // NOLINT(cppcoreguidelines-pro-type-member-init): filled by the read
  for (;;) {
    ERR_clear_error();
    const int n = SSL_read(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()));
    if (n > 0) {
      received_.append(bytes.data(), static_cast<std::size_t>(n));
      return true;
    }
    if (const int error = SSL_get_error(ssl_.get(), n); error != SSL_ERROR_WANT_READ) {
      ending_ = error == SSL_ERROR_ZERO_RETURN ? Ending::closed
                : was_alert()                  ? Ending::alert
                                               : Ending::bad_record;
      return false;
    }
    std::string records;
    if (!read_socket(records)) {
      if (ending_ == Ending::closed) ending_ = Ending::truncated; // no close_notify came before
      return false;
    }
    BIO_write(SSL_get_rbio(ssl_.get()), records.data(), static_cast<int>(records.size()));
  }
}

bool RawClient::read_some() {
  return ssl_ ? read_secured() : read_socket(received_);
}

bool RawClient::need(std::size_t size) {
  while (received_.size() < size)
    if (!read_some()) return false;
  return true;
}

std::string RawClient::receive_all() {
  while (read_some()) {
  }
  return std::exchange(received_, {});
}

bool RawClient::receive_until(std::string_view end) {
  std::size_t at = 0;
  while ((at = received_.find(end)) == std::string::npos)
    if (!read_some()) return false;
  received_.erase(0, at + end.size());
  return true;
}

RawResponse RawClient::receive(std::string_view method) {
  RawResponse response;
  const auto give_up = [&] {
    response.body += std::exchange(received_, {});
    response.ending = ending_;
    return response;
  };
  std::size_t end = 0;
  while ((end = received_.find("\r\n\r\n")) == std::string::npos)
    if (!read_some()) return give_up();
  if (!received_.starts_with("HTTP/1.")) return give_up();
  response.version = received_.substr(0, 8);
  response.status = static_cast<unsigned>(number(std::string_view(received_).substr(9, 3), 10));
  for (std::size_t at = received_.find("\r\n") + 2; at < end + 2;) {
    const auto line_end = received_.find("\r\n", at);
    const std::string line = received_.substr(at, line_end - at);
    const auto colon = line.find(": ");
    response.headers.emplace_back(lowered(line.substr(0, colon)), line.substr(colon + 2));
    at = line_end + 2;
  }
  received_.erase(0, end + 4);
  if (method == "HEAD" || response.status == 100) return response;

  if (response.header("transfer-encoding") == "chunked") {
    for (;;) {
      std::size_t line = 0;
      while ((line = received_.find("\r\n")) == std::string::npos)
        if (!read_some()) return give_up();
      const std::uint64_t size = number(std::string_view(received_).substr(0, line), 16);
      if (!need(line + 2 + size + 2)) return give_up();
      response.body += received_.substr(line + 2, size);
      received_.erase(0, line + 2 + size + 2);
      if (size == 0) return response;
    }
  }
  if (response.count("content-length") == 0) {
    receive_all().swap(response.body);
    response.ending = ending_;
    return response;
  }
  const std::uint64_t length = number(response.header("content-length"), 10);
  if (!need(length)) return give_up();
  response.body = received_.substr(0, length);
  received_.erase(0, length);
  return response;
}

RawResponse RawClient::ask(const std::string& method, const std::string& target, const std::string& lines,
                           const std::string& body, const std::string& host) {
  std::string text = method + " " + target + " HTTP/1.1\r\nHost: " + host + "\r\n" + lines;
  if (!body.empty()) text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  send(text + "\r\n" + body);
  return receive(method);
}

} // namespace tmpdump::test
