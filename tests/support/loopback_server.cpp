// SPDX-License-Identifier: Apache-2.0
#include "support/loopback_server.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <optional>
#include <stdexcept>

namespace tmpdump::test {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
constexpr auto as_codes = asio::as_tuple(asio::use_awaitable);

template <class Stream>
class StreamPeer : public Peer {
public:
  template <class... Args>
  explicit StreamPeer(Args&&... args) : stream_(std::forward<Args>(args)...) {}

  asio::awaitable<std::string> read_request() override {
    const auto [ec, size] =
        co_await asio::async_read_until(stream_, asio::dynamic_buffer(buffer_), "\r\n\r\n", as_codes);
    std::string request = buffer_.substr(0, ec ? buffer_.size() : size);
    buffer_.erase(0, request.size());
    co_return request;
  }
  asio::awaitable<void> send(std::string text) override {
    (void)co_await asio::async_write(stream_, asio::buffer(text), as_codes);
  }
  asio::awaitable<void> pause() override {
    for (int i = 0; i < 6; ++i) {
      co_await asio::post(stream_.get_executor(), asio::use_awaitable);
    }
  }
  asio::awaitable<void> until_client_leaves() override {
    char waste[4096];
    for (;;) {
      const auto [ec, size] = co_await stream_.async_read_some(asio::buffer(waste), as_codes);
      if (ec) break;
    }
  }
  asio::awaitable<void> say_goodbye() override { co_return; }
  void reset() override {
    boost::system::error_code ignored;
    stream_.lowest_layer().set_option(asio::socket_base::linger(true, 0), ignored);
    stream_.lowest_layer().close(ignored);
  }
  [[nodiscard]] bool resumed() const override { return false; }
  [[nodiscard]] std::string server_name() const override { return ""; }

protected:
  Stream stream_;
  std::string buffer_;
};

class TlsPeer final : public StreamPeer<asio::ssl::stream<tcp::socket>> {
public:
  using StreamPeer::StreamPeer;
  asio::awaitable<bool> handshake() {
    const auto [ec] = co_await stream_.async_handshake(asio::ssl::stream_base::server, as_codes);
    co_return !ec;
  }
  asio::awaitable<void> say_goodbye() override { (void)co_await stream_.async_shutdown(as_codes); }
  [[nodiscard]] bool resumed() const override { return SSL_session_reused(native()) == 1; }
  [[nodiscard]] std::string server_name() const override {
    const char* name = SSL_get_servername(native(), TLSEXT_NAMETYPE_host_name);
    return name == nullptr ? "" : name;
  }

private:
  [[nodiscard]] SSL* native() const { return const_cast<TlsPeer*>(this)->stream_.native_handle(); }
};

} // namespace

struct LoopbackServer::State {
  State(asio::io_context& io, Script chosen, const ServerOptions& options)
      : context(io), script(std::move(chosen)),
        acceptor(io, tcp::endpoint(asio::ip::make_address(options.address), options.port)) {
    if (!options.identity) return;
    tls.emplace(asio::ssl::context::tls_server);
    tls->use_certificate_chain(asio::buffer(options.identity->certificate));
    tls->use_private_key(asio::buffer(options.identity->key), asio::ssl::context::pem);
    SSL_CTX_set_session_id_context(tls->native_handle(), reinterpret_cast<const unsigned char*>("test"), 4);
    if (!options.tls_ciphers.empty() &&
        SSL_CTX_set_cipher_list(tls->native_handle(), options.tls_ciphers.c_str()) != 1)
      throw std::runtime_error("OpenSSL has none of " + options.tls_ciphers);
    if (options.tls_version == 0) return;
    SSL_CTX_set_min_proto_version(tls->native_handle(), options.tls_version);
    SSL_CTX_set_max_proto_version(tls->native_handle(), options.tls_version);
    if (options.tls_version >= TLS1_2_VERSION) return;
    // OpenSSL 3 speaks the old ones at its lowest level alone, where a handshake may be signed with SHA-1.
    SSL_CTX_set_security_level(tls->native_handle(), 0);
    SSL_CTX_set_cipher_list(tls->native_handle(), "ALL:@SECLEVEL=0");
  }

  // Static: a coroutine's first step comes later, and `self` must live from now on.
  static asio::awaitable<void> serve(std::shared_ptr<State> self, tcp::socket socket) {
    if (self->tls) {
      TlsPeer peer(std::move(socket), *self->tls);
      if (!co_await peer.handshake()) co_return;
      self->resumed += peer.resumed() ? 1 : 0;
      self->server_name = peer.server_name();
      co_await self->script(peer);
    } else {
      StreamPeer<tcp::socket> peer(std::move(socket));
      co_await self->script(peer);
    }
  }

  static asio::awaitable<void> accept(std::shared_ptr<State> self) {
    for (;;) {
      auto [ec, socket] = co_await self->acceptor.async_accept(as_codes);
      if (ec) co_return;
      ++self->accepted;
      socket.set_option(tcp::no_delay(true));
      asio::co_spawn(self->context, serve(self, std::move(socket)), asio::detached);
    }
  }

  asio::io_context& context;
  Script script;
  tcp::acceptor acceptor;
  std::optional<asio::ssl::context> tls;
  int accepted = 0, resumed = 0;
  std::string server_name;
};

LoopbackServer::LoopbackServer(asio::io_context& context, Script script, ServerOptions options)
    : state_(std::make_shared<State>(context, std::move(script), options)) {
  asio::co_spawn(context, State::accept(state_), asio::detached);
}

LoopbackServer::~LoopbackServer() {
  state_->acceptor.close();
}

std::uint16_t LoopbackServer::port() const {
  return state_->acceptor.local_endpoint().port();
}
int LoopbackServer::accepted() const {
  return state_->accepted;
}
int LoopbackServer::resumed() const {
  return state_->resumed;
}
std::string LoopbackServer::last_server_name() const {
  return state_->server_name;
}

LoopbackServer::Script always(std::string response) {
  return [response](Peer& peer) -> asio::awaitable<void> {
    while ((co_await peer.read_request()).ends_with("\r\n\r\n")) {
      co_await peer.send(response);
    }
  };
}

LoopbackServer::Script once(std::string response) {
  return [response](Peer& peer) -> asio::awaitable<void> {
    co_await peer.read_request();
    co_await peer.send(response);
  };
}

LoopbackServer::Script silent() {
  return [](Peer& peer) -> asio::awaitable<void> { co_await peer.until_client_leaves(); };
}

} // namespace tmpdump::test
