// SPDX-License-Identifier: Apache-2.0
// Whom we trust, and what TLS must not change about the rest.
#include "net/builtin_roots.h"
#include "net/tls_context.h"
#include "support/net_fixture.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <set>

using namespace tmpdump;
using namespace tmpdump::test;
namespace asio = boost::asio;

namespace {

const std::string ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

bool contains(const std::string& text, const std::string& part) {
  INFO(text);
  CHECK(text.find(part) != std::string::npos);
  return text.find(part) != std::string::npos;
}

struct TlsFixture : Fixture {
  Authority authority{"Test Root"};
  TemporaryFile bundle{authority.certificate()};

  TlsFixture() { options.ca_bundle = bundle.name(); }
  [[nodiscard]] ServerOptions secure(const CertificateOptions& certificate = {}, int version = 0) const {
    ServerOptions server;
    server.identity = authority.issue(certificate);
    server.tls_version = version;
    return server;
  }
};

struct Spoken {
  int version = 0; // 0: nothing
  std::string cipher;
};

// What a client speaks that takes whatever it is offered.
asio::awaitable<Spoken> careless(std::uint16_t port) {
  asio::ssl::context client(asio::ssl::context::tls_client);
  SSL_CTX_set_security_level(client.native_handle(), 0);
  SSL_CTX_set_cipher_list(client.native_handle(), "ALL:@SECLEVEL=0");
  SSL_CTX_set_min_proto_version(client.native_handle(), TLS1_VERSION);
  asio::ssl::stream<asio::ip::tcp::socket> stream(co_await asio::this_coro::executor, client);
  co_await stream.lowest_layer().async_connect({asio::ip::address_v4::loopback(), port}, asio::use_awaitable);
  const auto [failed] =
      co_await stream.async_handshake(asio::ssl::stream_base::client, asio::as_tuple(asio::use_awaitable));
  if (failed) co_return Spoken{};
  co_return Spoken{SSL_version(stream.native_handle()), SSL_get_cipher_name(stream.native_handle())};
}

} // namespace

TEST_CASE("the built-in roots are the ones that Amazon Trust Services publishes") {
  // SHA-256 of the certificates, from https://www.amazontrust.com/repository/.
  const std::set<std::string> published{
      "8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e", // Amazon Root CA 1
      "1ba5b2aa8c65401a82960118f80bec4f62304d83cec4713a19c39c011ea46db4", // Amazon Root CA 2
      "18ce6cfe7bf14e60b2e347b8dfe868cb31d02ebb3ada271569f50343b46db3a4", // Amazon Root CA 3
      "e35d28419ed02025cfa69038cd623962458da5c695fbdea3c22b0bfb25897092", // Amazon Root CA 4
      "568d6905a2c88708a4b3025190edcfedb1974a606a13c6e5290fcb2ae63edab5", // Starfield Services Root G2
  };
  std::set<std::string> embedded;
  for (const std::string_view pem : net::builtin_roots()) {
    BIO* in = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
    X509* root = PEM_read_bio_X509(in, nullptr, nullptr, nullptr);
    REQUIRE(root != nullptr);
    unsigned char digest[32];
    X509_digest(root, EVP_sha256(), digest, nullptr);
    std::string hex;
    for (const unsigned char byte : digest) {
      hex += "0123456789abcdef"[byte >> 4U];
      hex += "0123456789abcdef"[byte & 15U];
    }
    embedded.insert(hex);
    X509_free(root);
    BIO_free(in);
  }
  CHECK(embedded == published);
}

TEST_CASE_METHOD(TlsFixture, "bytes come through TLS unchanged, and sessions are resumed") {
  const int version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
  std::string big;
  for (unsigned i = 0; i < 3'000'000; ++i) {
    big.push_back(static_cast<char>((i * 2654435761U) >> 24U));
  }
  LoopbackServer server(
      context, always("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(big.size()) + "\r\n\r\n" + big),
      secure({}, version));
  for (int i = 0; i < 3; ++i) {
    const auto connection = connect(https(server));
    CHECK(connection->times().secured >= connection->times().connected);
    for (int j = 0; j < 2; ++j) {
      REQUIRE(ask(*connection));
      const auto got = body(*connection, std::size_t{1} << 20U);
      CHECK((got.value() == big));
    }
    CHECK(connection->reusable());
    if (i == 0) CHECK(server.last_server_name() == "localhost");
  }
  CHECK(server.accepted() == 3);
  CHECK(server.resumed() == 2);
}

TEST_CASE_METHOD(TlsFixture, "nothing older than TLS 1.2 is spoken") {
  ServerOptions old = secure();
  old.tls_version = TLS1_1_VERSION;
  LoopbackServer server(context, always(ok), old);
  REQUIRE(run(context, careless(server.port())).version == TLS1_1_VERSION);
  CHECK(try_connect(https(server)).error().code == Errc::network);
  // Not by grace of OpenSSL's default level, which the distributor sets.
  const auto tls = net::TlsContext::create(bundle.name(), "");
  CHECK(SSL_CTX_get_min_proto_version(tls.value()->native()) == TLS1_2_VERSION);
}

TEST_CASE_METHOD(TlsFixture, "TLS 1.2 has authenticated encryption and forward secrecy, or is not spoken") {
  const auto [name, rsa, spoken] = GENERATE(table<std::string, bool, bool>({
      {"ECDHE-ECDSA-AES128-GCM-SHA256", false, true},
      {"ECDHE-ECDSA-AES256-GCM-SHA384", false, true},
      {"ECDHE-ECDSA-CHACHA20-POLY1305", false, true},
      {"ECDHE-RSA-AES128-GCM-SHA256", true, true},
      {"ECDHE-ECDSA-AES128-SHA256", false, false}, // CBC, its MAC inside
      {"ECDHE-ECDSA-AES256-SHA384", false, false},
      {"ECDHE-ECDSA-AES128-SHA", false, false},
      {"ECDHE-RSA-AES256-SHA", true, false},
      {"AES128-GCM-SHA256", true, false}, // the client's secret under the server's key: who has it reads all
      {"AES256-GCM-SHA384", true, false},
      {"AES128-SHA256", true, false},
  }));
  INFO(name);
  CertificateOptions certificate;
  certificate.rsa = rsa;
  ServerOptions narrow = secure(certificate, TLS1_2_VERSION);
  narrow.tls_ciphers = name;
  LoopbackServer server(context, always(ok), narrow);
  REQUIRE(run(context, careless(server.port())).cipher == name);
  const auto got = get(https(server));
  CHECK(got.has_value() == spoken);
  if (spoken) return;
  CHECK(got.error().code == Errc::network);
  contains(got.error().message, "TLS to https://localhost:" + std::to_string(server.port()) + " (127.0.0.1:");
  contains(got.error().message, "handshake failure");
}

TEST_CASE_METHOD(TlsFixture, "no cipher is offered without authenticated encryption and forward secrecy") {
  const auto tls = net::TlsContext::create(bundle.name(), "");
  STACK_OF(SSL_CIPHER)* const offered = SSL_CTX_get_ciphers(tls.value()->native());
  CHECK(sk_SSL_CIPHER_num(offered) >= 6); // three of TLS 1.3, and each again for 1.2
  for (int i = 0; i < sk_SSL_CIPHER_num(offered); ++i) {
    const SSL_CIPHER* cipher = sk_SSL_CIPHER_value(offered, i);
    INFO(SSL_CIPHER_get_name(cipher));
    CHECK(SSL_CIPHER_is_aead(cipher) == 1);
    const int exchange = SSL_CIPHER_get_kx_nid(cipher);
    CHECK((exchange == NID_kx_ecdhe || exchange == NID_kx_any)); // any: TLS 1.3 has no other
  }
}

TEST_CASE_METHOD(TlsFixture, "address literals are verified as addresses and not sent as names") {
  CertificateOptions certificate;
  certificate.names = "IP:127.0.0.1";
  LoopbackServer server(context, always(ok), secure(certificate));
  CHECK(get(https(server, "127.0.0.1")).value() == "ok");
  CHECK(server.last_server_name().empty());
  contains(get(https(server, "localhost")).error().message, "another host");
}

TEST_CASE_METHOD(TlsFixture, "certificates that do not hold are refused, and the message says what to do") {
  SECTION("made for another host") {
    CertificateOptions other;
    other.names = "DNS:bucket.other.test";
    LoopbackServer server(context, always(ok), secure(other));
    const auto failure = get(https(server)).error();
    CHECK(failure.code == Errc::network);
    CHECK(failure.lasting); // nobody asks again
    contains(failure.message, "ostname mismatch");
    contains(failure.message, "TLS to https://localhost:" + std::to_string(server.port()) + " (127.0.0.1:");
  }
  SECTION("the subject alone is no host name") {
    CertificateOptions bare;
    bare.names = "email:a@example.test";
    LoopbackServer server(context, always(ok), secure(bare));
    CHECK_FALSE(get(https(server)));
  }
  SECTION("expired") {
    CertificateOptions expired;
    expired.not_before = -7200;
    expired.not_after = -3600;
    LoopbackServer server(context, always(ok), secure(expired));
    contains(get(https(server)).error().message, "certificate has expired; check this machine's clock");
  }
  SECTION("not valid yet") {
    CertificateOptions early;
    early.not_before = 3600;
    LoopbackServer server(context, always(ok), secure(early));
    const auto failure = get(https(server)).error();
    CHECK(failure.lasting);
    contains(failure.message, "certificate is not yet valid; check this machine's clock");
  }
  SECTION("signed by itself") {
    ServerOptions self;
    self.identity = self_signed({});
    LoopbackServer server(context, always(ok), self);
    contains(get(https(server)).error().message, "set AWS_CA_BUNDLE");
  }
  SECTION("signed by an authority of the same name, with another key") {
    const Authority impostor("Test Root");
    ServerOptions forged;
    forged.identity = impostor.issue({});
    LoopbackServer server(context, always(ok), forged);
    CHECK_FALSE(get(https(server)));
  }
  SECTION("a subject with control characters cannot forge a line") {
    CertificateOptions hostile;
    hostile.subject = "evil\nline";
    const Authority unknown("Unknown\x1b[2J");
    ServerOptions options_of;
    options_of.identity = unknown.issue(hostile);
    LoopbackServer server(context, always(ok), options_of);
    const std::string message = get(https(server)).error().message;
    CHECK(message.find('\n') == std::string::npos);
    CHECK(message.find('\x1b') == std::string::npos);
  }
}

TEST_CASE_METHOD(TlsFixture, "the system's bundle is the fallback, AWS_CA_BUNDLE the replacement") {
  LoopbackServer server(context, always(ok), secure());
  SECTION("built-in roots alone do not know the test's") {
    options.ca_bundle.clear();
    options.system_ca_bundle = "/dev/null";
    contains(get(https(server)).error().message, "'CN=localhost' (issued by 'CN=Test Root')");
  }
  SECTION("the system's bundle does") {
    options.ca_bundle.clear();
    options.system_ca_bundle = bundle.name();
    CHECK(get(https(server)).value() == "ok");
    CHECK(get(https(server)).value() == "ok");
    CHECK(server.resumed() == 1);
    contains(get(https(server, "127.0.0.1")).error().message,
             "another host"); // it must still be the right host
  }
  SECTION("and what breaks after that is not the certificate's fault") {
    options.ca_bundle.clear();
    options.system_ca_bundle = bundle.name();
    LoopbackServer breaking(context, once("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"), secure());
    const auto failure = get(https(breaking)).error();
    CHECK_FALSE(failure.lasting);
    contains(failure.message, "after 2 of 9 bytes");
  }
  SECTION("but not when AWS_CA_BUNDLE names another") {
    const TemporaryFile other(Authority("Other Root").certificate());
    options.ca_bundle = other.name();
    options.system_ca_bundle = bundle.name();
    CHECK_FALSE(get(https(server)));
  }
  SECTION("and a bundle that cannot be used is an error that names the variable") {
    options.ca_bundle = "/nonexistent/bundle.pem";
    auto failure = get(https(server)).error();
    CHECK(failure.code == Errc::io); // "not found" would be the object's
    contains(failure.message, "AWS_CA_BUNDLE: open '/nonexistent/bundle.pem'");
    made.reset();
    const TemporaryFile empty("no certificate here\n");
    options.ca_bundle = empty.name();
    failure = get(https(server)).error();
    CHECK(failure.code == Errc::usage);
    contains(failure.message, "holds no certificate");
  }
}

TEST_CASE_METHOD(TlsFixture, "an end without close_notify counts only where the length is unknown") {
  const bool polite = GENERATE(true, false);
  const auto [text, good] = GENERATE_COPY(table<std::string, bool>({
      {ok, true},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", true},
      {"HTTP/1.1 200 OK\r\n\r\nok", polite},
      {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", false},
  }));
  INFO(text);
  const std::string& answer = text; // clang 14 captures no structured binding
  LoopbackServer server(
      context,
      [&](Peer& peer) -> asio::awaitable<void> {
        co_await peer.read_request();
        co_await peer.send(answer);
        if (polite) co_await peer.say_goodbye();
      },
      secure());
  const auto got = get(https(server));
  REQUIRE(got.has_value() == good);
  if (good) CHECK(got.value() == "ok");
}

TEST_CASE_METHOD(TlsFixture, "a connection that the server closed while idle is recognised under TLS too") {
  const bool polite = GENERATE(true, false);
  LoopbackServer server(
      context,
      [=](Peer& peer) -> asio::awaitable<void> {
        co_await peer.read_request();
        co_await peer.send(ok);
        if (polite) co_await peer.say_goodbye();
      },
      secure());
  const auto connection = connect(https(server));
  REQUIRE(ask(*connection));
  REQUIRE(body(*connection).value() == "ok");
  const auto failure = ask(*connection).error();
  INFO(failure.message);
  CHECK(net::closed_while_idle(failure));
}

TEST_CASE_METHOD(TlsFixture, "handshakes that do not come to an end") {
  LoopbackServer mute(context, silent());
  SECTION("time out") {
    options.timeouts.tls = tiny;
    const auto failure = try_connect(https(mute)).error();
    CHECK(failure.code == Errc::timeout);
    contains(failure.message, "handshake not done within 30 ms");
  }
  SECTION("can be cancelled") {
    const auto origin = https(mute);
    Running<result<ConnectionPtr>> connecting(context, network().connect(origin));
    connecting.run_until([&] { return mute.accepted() == 1; });
    context.poll();
    connecting.cancel();
    CHECK(connecting.get().error().code == Errc::cancelled);
  }
  SECTION("are explained when the server speaks plain HTTP") {
    LoopbackServer plain(context, [](Peer& peer) -> asio::awaitable<void> {
      co_await peer.send("HTTP/1.1 400 Bad Request\r\n\r\n");
      co_await peer.until_client_leaves();
    });
    contains(try_connect(https(plain)).error().message, "does not speak TLS");
  }
  SECTION("end with the peer") {
    LoopbackServer leaving(context, [](Peer& peer) -> asio::awaitable<void> { co_await peer.pause(); });
    CHECK(try_connect(https(leaving)).error().code == Errc::network);
  }
}

TEST_CASE_METHOD(TlsFixture, "a slow or vanishing peer is no different under TLS") {
  LoopbackServer server(
      context,
      [](Peer& peer) -> asio::awaitable<void> {
        co_await peer.read_request();
        co_await peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        co_await peer.until_client_leaves();
      },
      secure());
  const auto connection = connect(https(server));
  REQUIRE(ask(*connection));
  CHECK(body(*connection, 100, tiny).error().code == Errc::timeout);
}
