// SPDX-License-Identifier: Apache-2.0
#include "net/network.h"

#include "net/connector.h"
#include "net/http_connection.h"
#include "net/resolver.h"
#include "net/tls_context.h"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>

#include <openssl/crypto.h>

#include <algorithm>

namespace tmpdump::net {

namespace asio = boost::asio;

namespace {

std::string bracketed(const std::string& host) {
  return host.find(':') == std::string::npos ? host : "[" + host + "]";
}

} // namespace

std::string Origin::host_header() const {
  const std::uint16_t usual = tls ? 443 : 80;
  return port == usual ? bracketed(host) : bracketed(host) + ":" + std::to_string(port);
}

std::string Origin::display() const {
  return (tls ? "https://" : "http://") + bracketed(printable(host)) + ":" + std::to_string(port);
}

std::optional<std::string_view> ResponseHead::header(std::string_view name) const {
  const auto at =
      std::find_if(headers.begin(), headers.end(), [&](const auto& entry) { return entry.first == name; });
  if (at == headers.end()) return std::nullopt;
  return at->second;
}

struct Network::State {
  State(asio::io_context& io, NetworkOptions chosen)
      : context(io), options(std::move(chosen)),
        resolver(io, {options.resolv_conf, options.nameservers, options.timeouts.resolve}, options.hosts_file,
                 options.names_at_least),
        connector(io, options.timeouts.connect) {}

  result<std::shared_ptr<TlsContext>> tls_context();
  asio::awaitable<result<std::unique_ptr<Connection>>> connect(Origin origin);
  asio::awaitable<result<std::unique_ptr<Connection>>> guarded_connect(Origin origin);
  asio::awaitable<result<Response>> converse(Origin origin, Request request, std::size_t max_body,
                                             std::chrono::milliseconds total);
  asio::awaitable<result<Response>> exchange(Origin origin, Request request, std::size_t max_body,
                                             std::chrono::milliseconds total);

  asio::io_context& context;
  NetworkOptions options;
  Resolver resolver;
  Connector connector;
  std::shared_ptr<TlsContext> tls; // made for the first https origin
};

Network::Network(asio::io_context& context, NetworkOptions options)
    : state_(std::make_unique<State>(context, std::move(options))) {}

Network::~Network() = default;

asio::io_context& Network::context() {
  return state_->context;
}

const Timeouts& Network::timeouts() const {
  return state_->options.timeouts;
}

result<std::shared_ptr<TlsContext>> Network::State::tls_context() {
  if (!tls) {
    TMPDUMP_TRY(tls, TlsContext::create(options.ca_bundle, options.system_ca_bundle));
  }
  return tls;
}

asio::awaitable<result<std::unique_ptr<Connection>>> Network::State::connect(Origin origin) {
  ConnectionTimes times;
  times.started = Clock::now();
  TMPDUMP_CO_TRY(Addresses addresses, co_await resolver.resolve(origin.host));
  times.resolved = Clock::now();
  auto socket = co_await connector.connect(origin, std::move(addresses));
  if (!socket) {
    // The name may lead elsewhere by now.
    if (socket.error().code != Errc::cancelled) resolver.forget(origin.host);
    co_return std::move(socket).error();
  }
  times.connected = Clock::now();
  boost::system::error_code gone;
  const auto address = socket->remote_endpoint(gone).address();
  const auto stream = std::make_shared<Stream>(std::move(*socket));
  if (origin.tls) {
    TMPDUMP_CO_TRY(auto shared, tls_context());
    const auto secured = co_await stream->start_tls(std::move(shared), origin, options.timeouts.tls);
    if (!secured) {
      if (secured.error().code != Errc::cancelled) {
        connector.failed(address);
        resolver.forget(origin.host);
      }
      co_return secured.error();
    }
    times.secured = Clock::now();
  }
  co_return make_http_connection(stream, std::move(origin), options.user_agent, times);
}

// Asio throws operation_aborted at an await that follows a cancellation.
asio::awaitable<result<std::unique_ptr<Connection>>> Network::State::guarded_connect(Origin origin) {
  try {
    co_return co_await connect(origin);
  } catch (const boost::system::system_error&) {
    co_return cancelled(origin);
  }
}

asio::awaitable<result<Network::Response>> Network::State::converse(Origin origin, Request request,
                                                                    std::size_t max_body,
                                                                    std::chrono::milliseconds total) {
  const SecretsWipedAtEnd wiped(request);
  try {
    TMPDUMP_CO_TRY(const auto connection, co_await connect(origin));
    Response response;
    auto head = co_await connection->request(request, total);
    if (!head) co_return std::move(head).error();
    response.head = std::move(*head);
    const auto too_long = [&] {
      return Failure{Errc::network, origin.display() + ": the response is longer than " +
                                        std::to_string(max_body) + " bytes"};
    };
    if (response.head.content_length.value_or(0) > max_body && request.method != "HEAD") co_return too_long();
    // Grown, it would leave copies of what may be keys behind. What has no length (chunked) may be as long as
    // is allowed.
    if (request.method != "HEAD")
      response.body.reserve(static_cast<std::size_t>(response.head.content_length.value_or(max_body)));
    char block[4096];
    for (;;) {
      TMPDUMP_CO_TRY(const std::size_t size,
                     co_await connection->read_body(std::as_writable_bytes(std::span(block)), total));
      if (size > max_body - response.body.size()) co_return too_long();
      response.body.append(block, size);
      OPENSSL_cleanse(block, size);
      if (size == 0) co_return response;
    }
  } catch (const boost::system::system_error&) {
    co_return cancelled(origin);
  }
}

asio::awaitable<result<Network::Response>> Network::State::exchange(Origin origin, Request request,
                                                                    std::size_t max_body,
                                                                    std::chrono::milliseconds total) {
  using namespace asio::experimental::awaitable_operators;
  asio::steady_timer limit(context, deadline_after(total));
  try {
    auto first = co_await (converse(origin, std::move(request), max_body, total) ||
                           limit.async_wait(asio::use_awaitable));
    if (first.index() == 0) co_return std::get<0>(std::move(first));
    co_return Failure{Errc::timeout, origin.display() + ": no complete answer within " +
                                         std::to_string(total.count()) + " ms"};
  } catch (const std::exception&) { // the timer was cancelled, and so was the conversation
    co_return cancelled(origin);
  }
}

// Not coroutines themselves: what they are called with need only live until they return.
asio::awaitable<result<std::unique_ptr<Connection>>> Network::connect(const Origin& origin) {
  return state_->guarded_connect(origin);
}

asio::awaitable<result<Network::Response>> Network::exchange(const Origin& origin, const Request& request,
                                                             std::size_t max_body,
                                                             std::chrono::milliseconds total) {
  return state_->exchange(origin, request, max_body, total);
}

} // namespace tmpdump::net
