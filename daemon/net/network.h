// SPDX-License-Identifier: Apache-2.0
// Names, connections and HTTP/1.1 exchanges, for S3, the credentials endpoint and Lambda's Runtime API.
// Thread rules: everything here lives on one thread, the one that runs the io_context.
#pragma once

#include "base/bytes.h"
#include "base/error.h"
#include "base/secret.h"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tmpdump::net {

using Clock = std::chrono::steady_clock;

struct Origin {
  bool tls = false;
  std::string host; // name or address literal, no brackets
  std::uint16_t port = 0;
  auto operator<=>(const Origin&) const = default;
  // "host" or "host:port" as the Host header wants it (default ports left out, IPv6 literals in brackets).
  [[nodiscard]] std::string host_header() const;
  [[nodiscard]] std::string display() const; // "https://host:port" for messages
};

struct Timeouts {
  std::chrono::milliseconds resolve{1000}; // one question to one name server; asked twice
  std::chrono::milliseconds connect{
      1000}; // one TCP connect to one address; the next address starts 250 ms in
  std::chrono::milliseconds tls{2000};
  std::chrono::milliseconds first_byte{2000}; // from the request's last byte to the response's header
  std::chrono::milliseconds progress{1000};   // between two reads that bring bytes of a body
};

struct Header {
  std::string name;
  std::string value;
  bool secret = false; // value is never logged
};

struct Request {
  std::string method = "GET";
  std::string target = "/";    // path and query as they go on the wire
  std::vector<Header> headers; // besides Host, User-Agent, Content-Length
  std::string body;
};
// Overwrites the values of secret headers and the target, whose query may be one: for who made the request,
// when it has been sent.
void wipe_secrets(Request& request);

// Does so when it goes out of scope, whichever way that comes about.
class SecretsWipedAtEnd {
public:
  explicit SecretsWipedAtEnd(Request& request) : request_(request) {}
  SecretsWipedAtEnd(const SecretsWipedAtEnd&) = delete;
  SecretsWipedAtEnd& operator=(const SecretsWipedAtEnd&) = delete;
  ~SecretsWipedAtEnd() { wipe_secrets(request_); }

private:
  Request& request_;
};

struct ResponseHead {
  unsigned status = 0;
  std::vector<std::pair<std::string, std::string>> headers; // names in lower case, in order of arrival
  std::optional<std::uint64_t> content_length;              // none: chunked, or ended by close
  // First value of a header (name in lower case), or nullopt.
  [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const;
};

// Phases of one connection, for the trace and the summary. Zero time_points: did not happen.
struct ConnectionTimes {
  Clock::time_point started, resolved, connected, secured;
};

// One keep-alive HTTP/1.1 connection. One exchange at a time:
//   request() -> read_body() until 0 -> (reusable()) -> request() ...
// A request is copied before request() returns its awaitable. A failure leaves the connection unusable.
// Cancelling the coroutine (Asio cancellation, terminal) or close() ends it, and so does its destructor, even
// while an operation is pending: buffers are touched only while a call runs, never between its suspension and
// its failure with Errc::cancelled.
class Connection {
public:
  virtual ~Connection() = default;

  // Sends the request and reads the response's header (1xx skipped, header at most 16 KiB).
  virtual boost::asio::awaitable<result<ResponseHead>> request(const Request& request,
                                                               std::chrono::milliseconds first_byte) = 0;
  // Reads at least one body byte straight into `out`, or returns 0 at the body's end. Ends early (the peer
  // closed before content_length) are Errc::network. `progress` bounds the wait.
  virtual boost::asio::awaitable<result<std::size_t>> read_body(MutableBytes out,
                                                                std::chrono::milliseconds progress) = 0;
  // The whole body was read and the peer keeps the connection open.
  [[nodiscard]] virtual bool reusable() const = 0;
  // At once; a pending operation fails with Errc::cancelled.
  virtual void close() = 0;
  [[nodiscard]] virtual const ConnectionTimes& times() const = 0;
  [[nodiscard]] virtual std::string peer() const = 0; // "192.0.2.1:443"
  // The socket while request() waits for the answer, having sent all and read what has come; else -1. For who
  // wants to wait for hours, and for nothing else: Asio's own wait ends every five minutes, timers or not.
  [[nodiscard]] virtual int silent_socket() const = 0;
};

// The peer closed a kept-alive connection before it answered anything: not a sign of trouble, and safe to
// retry on another connection when the method is idempotent (RFC 9112 section 9.3.1).
[[nodiscard]] bool closed_while_idle(const Failure& failure);

struct NetworkOptions {
  // PEM file that replaces the built-in roots and the system's (AWS_CA_BUNDLE); empty: those.
  std::string ca_bundle;
  // The system's PEM file (SSL_CERT_FILE), read only when a chain does not end in a built-in root; empty: the
  // first one that exists of the usual places.
  std::string system_ca_bundle;
  Timeouts timeouts;
  std::string user_agent;
  std::string resolv_conf = "/etc/resolv.conf"; // tests point these elsewhere
  std::string hosts_file = "/etc/hosts";
  std::string nameservers; // "127.0.0.1:5353,..." in place of resolv_conf's; empty: those
  std::chrono::milliseconds names_at_least{5'000}; // what a name resolved to is kept, however short its TTL
};

// Resolver (c-ares), TLS context with its session cache, and connector. Nothing is loaded before it is
// needed: plain http costs no TLS set-up, an address literal no resolver.
class Network {
public:
  Network(boost::asio::io_context& context, NetworkOptions options);
  ~Network();
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  // Both functions copy what they are given before they return their awaitable.
  //
  // Connects (TCP_NODELAY; TLS 1.2+ with SNI and verification of chain and host name). Addresses are taken in
  // turn by successive calls, so that many connections spread over all of them; one that does not answer
  // within 250 ms is raced by the next (RFC 8305). A failed address is tried last for a while; where none can
  // be connected to the name is resolved anew by the next call.
  boost::asio::awaitable<result<std::unique_ptr<Connection>>> connect(const Origin& origin);

  // One whole exchange on a connection of its own, body at most `max_body`: for small JSON APIs.
  struct Response {
    ResponseHead head;
    std::string body;
  };
  boost::asio::awaitable<result<Response>> exchange(const Origin& origin, const Request& request,
                                                    std::size_t max_body, std::chrono::milliseconds total);

  [[nodiscard]] boost::asio::io_context& context();
  [[nodiscard]] const Timeouts& timeouts() const;

private:
  struct State;
  std::unique_ptr<State> state_;
};

} // namespace tmpdump::net
