// SPDX-License-Identifier: Apache-2.0
// The provider against a scripted endpoint; the pure parts are in credentials_answer_test.cpp.
#include "credentials/credentials.h"
#include "support/catch.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <deque>
#include <fstream>
#include <optional>
#include <stdexcept>
#include <unistd.h>
#include <vector>

using namespace tmpdump;
using namespace tmpdump::credentials;
using namespace std::chrono_literals;
namespace asio = boost::asio;

namespace {

using Got = result<std::shared_ptr<const Credentials>>;

const std::chrono::system_clock::time_point noon =
    std::chrono::sys_days{std::chrono::January / 2 / 2030} + std::chrono::hours(12);

std::string keys_json(const std::string& id, const std::string& expiration) {
  return R"({"AccessKeyId":")" + id + R"(","SecretAccessKey":"secret","Token":"session","Expiration":")" +
         expiration + R"("})";
}

// An endpoint that answers from a script and remembers what it was asked; a clock that stands still.
class Endpoint {
public:
  Endpoint() {
    options.container_endpoint.emplace();
    options.container_endpoint->uri = {false, "127.0.0.1", 9001, "/2021-04-23/credentials",
                                       Secret(std::string("a=b"))};
    options.container_endpoint->authorization_token = Secret(std::string("ENDPOINT-TOKEN"));
  }
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;

  void will_answer(unsigned status, std::string body) {
    net::Network::Response response;
    response.head.status = status;
    response.body = std::move(body);
    script_.emplace_back(std::move(response));
  }
  void will_fail(Errc code) { script_.emplace_back(Failure{code, "scripted"}); }
  // From now on an exchange hangs until release(), or its cancellation.
  void hold() { gate_.emplace(context, asio::steady_timer::time_point::max()); }
  void release() {
    auto gate = std::move(*gate_);
    gate_.reset();
    gate.cancel();
  }

  Provider& provider() {
    if (!provider_)
      provider_.emplace(
          options,
          [this](const net::Origin& origin, const net::Request& request, std::size_t max_body,
                 std::chrono::milliseconds total) { return answer(origin, request, max_body, total); },
          [this] { return now; });
    return *provider_;
  }

  // Starts a get(); `got` is set once it ends.
  struct Call {
    std::optional<Got> got;
    std::exception_ptr error;
    asio::cancellation_signal cancel;
  };
  std::shared_ptr<Call> start() {
    auto call = std::make_shared<Call>();
    asio::co_spawn(
        context, provider().get(),
        asio::bind_cancellation_slot(call->cancel.slot(), [call](const std::exception_ptr& error, Got got) {
          call->error = error;
          if (!error) call->got = std::move(got);
        }));
    return call;
  }
  // Runs what can run without waiting for a held exchange.
  void settle() {
    context.restart();
    context.poll();
  }
  Got get() {
    const auto call = start();
    context.restart();
    context.run();
    if (!call->got) throw std::runtime_error("get() did not end");
    return *call->got;
  }
  std::string id() { return get().value()->access_key_id; }
  std::string error() { return get().error().message; }

  config::Options options;
  std::chrono::system_clock::time_point now = noon;
  asio::io_context context;
  std::vector<net::Request> requests;
  std::vector<net::Origin> origins;
  std::vector<std::chrono::milliseconds> budgets;

private:
  asio::awaitable<result<net::Network::Response>> answer(net::Origin origin, net::Request request,
                                                         std::size_t /*max_body*/,
                                                         std::chrono::milliseconds total) {
    origins.push_back(origin);
    requests.push_back(std::move(request));
    budgets.push_back(total);
    if (gate_) {
      boost::system::error_code ended;
      asio::steady_timer& gate = *gate_;
      co_await gate.async_wait(asio::redirect_error(asio::use_awaitable, ended));
      const auto state = co_await asio::this_coro::cancellation_state;
      if (state.cancelled() != asio::cancellation_type::none) co_return Failure{Errc::cancelled, "cancelled"};
    }
    if (script_.empty()) throw std::logic_error("an exchange beyond the script");
    auto next = std::move(script_.front());
    script_.pop_front();
    co_return next;
  }

  std::deque<result<net::Network::Response>> script_;
  std::optional<asio::steady_timer> gate_;
  std::optional<Provider> provider_;
};

// A file that goes away with the test.
class TokenFile {
public:
  TokenFile() {
    const int fd = ::mkstemp(path_.data());
    if (fd < 0) FAIL("mkstemp");
    (void)::close(fd);
  }
  TokenFile(const TokenFile&) = delete;
  TokenFile& operator=(const TokenFile&) = delete;
  ~TokenFile() { (void)::unlink(path_.c_str()); }
  void holds(const std::string& text) const { std::ofstream(path_, std::ios::binary) << text; }
  [[nodiscard]] const std::string& path() const { return path_; }

private:
  std::string path_ = "/tmp/credentials_test.XXXXXX";
};

} // namespace

TEST_CASE("environment keys serve at once, for ever, and cannot be refreshed") {
  Endpoint endpoint;
  endpoint.options.static_keys =
      config::StaticKeys{"AKID", Secret(std::string("secret")), Secret(std::string("session"))};
  const auto keys = endpoint.get().value();
  CHECK(keys->access_key_id == "AKID");
  CHECK(keys->secret_access_key.reveal() == "secret");
  CHECK(keys->session_token.reveal() == "session");
  CHECK_FALSE(keys->expires_at);
  CHECK_FALSE(endpoint.provider().invalidate(keys));
  CHECK(endpoint.id() == "AKID");
  CHECK(endpoint.requests.empty());
}

TEST_CASE("--no-sign-request means no credentials, not even those at hand") {
  Endpoint endpoint;
  endpoint.options.no_sign_request = true;
  endpoint.options.static_keys = config::StaticKeys{"AKID", Secret(std::string("s")), {}};
  CHECK(endpoint.get().value() == nullptr);
  CHECK(endpoint.requests.empty());
}

TEST_CASE("without any source the failure says what to set") {
  Endpoint endpoint;
  endpoint.options.container_endpoint.reset();
  const Got got = endpoint.get();
  CHECK(got.error().code == Errc::denied);
  CHECK(got.error().message.find("set AWS_ACCESS_KEY_ID") != std::string::npos);
}

TEST_CASE("the container endpoint is asked once, with its token, and its answer is kept") {
  Endpoint endpoint;
  endpoint.will_answer(200, keys_json("ID1", "2030-01-02T18:00:00Z"));
  const auto keys = endpoint.get().value();
  CHECK(keys->access_key_id == "ID1");
  CHECK(keys->secret_access_key.reveal() == "secret");
  CHECK(keys->session_token.reveal() == "session");
  CHECK(keys->expires_at == noon + 6h);
  CHECK(endpoint.id() == "ID1");
  REQUIRE(endpoint.requests.size() == 1);
  CHECK(endpoint.origins[0].host == "127.0.0.1");
  CHECK(endpoint.origins[0].port == 9001);
  CHECK_FALSE(endpoint.origins[0].tls);
  const net::Request& request = endpoint.requests[0];
  CHECK(request.method == "GET");
  CHECK(request.target == "/2021-04-23/credentials?a=b");
  REQUIRE(request.headers.size() == 2);
  CHECK(request.headers[1].name == "Authorization");
  CHECK(request.headers[1].value == "ENDPOINT-TOKEN");
  CHECK(request.headers[1].secret);
}

TEST_CASE("refreshed when less than five minutes remain, not before") {
  Endpoint endpoint;
  endpoint.will_answer(200, keys_json("ID1", "2030-01-02T13:00:00Z"));
  endpoint.will_answer(200, keys_json("ID2", "2030-01-02T19:00:00Z"));
  CHECK(endpoint.id() == "ID1");
  endpoint.now = noon + 55min;
  CHECK(endpoint.id() == "ID1");
  endpoint.now = noon + 55min + 1s;
  CHECK(endpoint.id() == "ID2");
  CHECK(endpoint.requests.size() == 2);
}

TEST_CASE("a refresh that fails leaves valid credentials in use, and is not repeated at every call") {
  Endpoint endpoint;
  endpoint.will_answer(200, keys_json("ID1", "2030-01-02T13:00:00Z"));
  endpoint.will_answer(403, "");
  CHECK(endpoint.id() == "ID1");
  endpoint.now = noon + 56min;
  CHECK(endpoint.id() == "ID1");
  CHECK(endpoint.id() == "ID1");
  CHECK(endpoint.requests.size() == 2);
  endpoint.now += 31s;
  endpoint.will_answer(200, keys_json("ID2", "2030-01-02T19:00:00Z"));
  CHECK(endpoint.id() == "ID2");
}

TEST_CASE("a refresh that fails after expiry is a failure, at once even within the pause") {
  Endpoint endpoint;
  endpoint.will_answer(200, keys_json("ID1", "2030-01-02T13:00:00Z"));
  endpoint.will_answer(403, "");
  CHECK(endpoint.id() == "ID1");
  endpoint.now = noon + 59min + 50s;
  CHECK(endpoint.id() == "ID1");
  endpoint.now = noon + 1h;
  endpoint.will_answer(403, R"({"code":"AccessDenied","message":"go\naway"})");
  const Got got = endpoint.get();
  CHECK(got.error().code == Errc::denied);
  CHECK(got.error().message ==
        "credentials from http://127.0.0.1:9001: HTTP 403 (AccessDenied: go\\x0aaway)");
  endpoint.will_answer(200, keys_json("ID2", "2030-01-02T19:00:00Z"));
  CHECK(endpoint.id() == "ID2");
}

TEST_CASE("short-lived credentials are not asked for again at every call") {
  Endpoint endpoint;
  endpoint.will_answer(200, keys_json("ID1", "2030-01-02T12:02:00Z"));
  CHECK(endpoint.id() == "ID1");
  CHECK(endpoint.id() == "ID1");
  CHECK(endpoint.requests.size() == 1);
}

TEST_CASE("invalidate forgets what was rejected and nothing newer") {
  Endpoint endpoint;
  endpoint.will_answer(200, keys_json("ID1", "2030-01-02T18:00:00Z"));
  const auto first = endpoint.get().value();
  CHECK(endpoint.provider().invalidate(first));
  endpoint.will_answer(200, keys_json("ID2", "2030-01-02T18:00:00Z"));
  CHECK(endpoint.id() == "ID2");
  CHECK(endpoint.provider().invalidate(first)); // a late verdict on the old ones
  CHECK(endpoint.provider().invalidate(nullptr));
  CHECK(endpoint.id() == "ID2");
  CHECK(endpoint.requests.size() == 2);
  CHECK(endpoint.provider().invalidate(endpoint.get().value()));
  endpoint.will_answer(400, "");
  CHECK(endpoint.get().has_error()); // rejected ones do not serve on
}

TEST_CASE("transient failures are tried again, three times in all") {
  Endpoint endpoint;
  SECTION("and the third may succeed") {
    endpoint.will_fail(Errc::network);
    endpoint.will_answer(503, "");
    endpoint.will_answer(200, keys_json("ID", "2030-01-02T18:00:00Z"));
    CHECK(endpoint.id() == "ID");
  }
  SECTION("or be the last") {
    endpoint.will_fail(Errc::timeout);
    endpoint.will_answer(429, "");
    endpoint.will_answer(500, R"({"message":"broken"})");
    CHECK(endpoint.error() == "credentials from http://127.0.0.1:9001: HTTP 500 (broken)");
  }
  CHECK(endpoint.requests.size() == 3);
  for (const auto budget : endpoint.budgets)
    CHECK(budget <= 3001ms);
  CHECK(endpoint.budgets[0] <= 1001ms);
}

TEST_CASE("what another attempt cannot mend is not tried again") {
  Endpoint endpoint;
  SECTION("refused") {
    endpoint.will_answer(401, "");
    CHECK(endpoint.get().error().code == Errc::denied);
  }
  SECTION("redirected") {
    endpoint.will_answer(302, "");
    CHECK(endpoint.get().error().code == Errc::network);
  }
  SECTION("nonsense") {
    endpoint.will_answer(200, "<html>");
    CHECK(endpoint.error() == "credentials from http://127.0.0.1:9001: the answer is not a JSON object");
  }
  SECTION("expired") {
    endpoint.will_answer(200, keys_json("ID", "2030-01-02T12:00:00Z"));
    CHECK(endpoint.get().error().code == Errc::denied);
  }
  CHECK(endpoint.requests.size() == 1);
}

TEST_CASE("no failure shows the endpoint's path, its query, or the token") {
  Endpoint endpoint;
  endpoint.will_answer(403, R"({"code":"Bad","message":"unknown token ENDPOINT-TOKEN"})");
  const std::string message = endpoint.error();
  CHECK(message.find("Bad") != std::string::npos);
  for (const char* const secret : {"ENDPOINT-TOKEN", "2021-04-23", "a=b"})
    CHECK(message.find(secret) == std::string::npos);
}

TEST_CASE("callers at the same time share one refresh, and its failure") {
  Endpoint endpoint;
  endpoint.hold();
  const std::vector calls{endpoint.start(), endpoint.start(), endpoint.start()};
  endpoint.settle();
  CHECK(endpoint.requests.size() == 1);
  SECTION("success") {
    endpoint.will_answer(200, keys_json("ID", "2030-01-02T18:00:00Z"));
  }
  SECTION("failure") {
    endpoint.will_answer(403, "");
  }
  endpoint.release();
  endpoint.settle();
  for (const auto& call : calls) {
    REQUIRE(call->got);
    CHECK(call->got->has_value() == calls[0]->got->has_value());
    if (call->got->has_value()) CHECK(call->got->value() == calls[0]->got->value());
  }
  CHECK(endpoint.requests.size() == 1);
}

TEST_CASE("when the caller that refreshes is cancelled, another takes over") {
  Endpoint endpoint;
  endpoint.hold();
  const auto first = endpoint.start();
  const auto second = endpoint.start();
  const auto third = endpoint.start();
  endpoint.settle();
  first->cancel.emit(asio::cancellation_type::terminal);
  endpoint.settle();
  CHECK((first->error || first->got->error().code == Errc::cancelled));
  CHECK_FALSE(second->got);
  CHECK(endpoint.requests.size() == 2);
  endpoint.will_answer(200, keys_json("ID", "2030-01-02T18:00:00Z"));
  endpoint.release();
  endpoint.settle();
  CHECK(second->got->value()->access_key_id == "ID");
  CHECK(third->got->value()->access_key_id == "ID");
  CHECK(endpoint.requests.size() == 2);
}

TEST_CASE("a caller that only waits can be cancelled alone") {
  Endpoint endpoint;
  endpoint.hold();
  const auto first = endpoint.start();
  const auto second = endpoint.start();
  endpoint.settle();
  second->cancel.emit(asio::cancellation_type::terminal);
  endpoint.settle();
  CHECK((second->error || second->got->error().code == Errc::cancelled));
  CHECK_FALSE(first->got);
  endpoint.will_answer(200, keys_json("ID", "2030-01-02T18:00:00Z"));
  endpoint.release();
  endpoint.settle();
  CHECK(first->got->value()->access_key_id == "ID");
}

TEST_CASE("an exchange that throws does not leave the others waiting") {
  Endpoint endpoint;
  endpoint.hold();
  const auto first = endpoint.start();
  const auto second = endpoint.start();
  endpoint.settle();
  endpoint.release(); // the script is empty: throws, for the one who takes over too
  endpoint.settle();
  CHECK(first->error);
  CHECK(second->error);
  endpoint.will_answer(200, keys_json("ID", "2030-01-02T18:00:00Z"));
  CHECK(endpoint.id() == "ID");
}

TEST_CASE("the token file is read anew at each refresh and wins over the variable") {
  Endpoint endpoint;
  const TokenFile file;
  endpoint.options.container_endpoint->authorization_token_file = file.path();
  file.holds("first\n");
  endpoint.will_answer(200, keys_json("ID1", "2030-01-02T13:00:00Z"));
  CHECK(endpoint.id() == "ID1");
  file.holds("second\r\n");
  endpoint.now = noon + 2h;
  endpoint.will_answer(200, keys_json("ID2", "2030-01-02T18:00:00Z"));
  CHECK(endpoint.id() == "ID2");
  REQUIRE(endpoint.requests.size() == 2);
  CHECK(endpoint.requests[0].headers[1].value == "first");
  CHECK(endpoint.requests[1].headers[1].value == "second");
}

TEST_CASE("a token file that cannot be one header value is never sent") {
  Endpoint endpoint;
  const TokenFile file;
  endpoint.options.container_endpoint->authorization_token_file = file.path();
  for (const std::string text : {"a\r\nX-Injected: HIDDEN", "a\nHIDDEN\n", "HIDDEN\x01", "", "\n"}) {
    file.holds(text);
    const std::string message = endpoint.error();
    CHECK(message.find("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") != std::string::npos);
    CHECK(message.find("HIDDEN") == std::string::npos);
  }
  file.holds(std::string(16'385, 't'));
  CHECK(endpoint.error().find("more than 16384 bytes") != std::string::npos);
  CHECK(endpoint.requests.empty());
}

TEST_CASE("a token file that is not there, or not a file, is named") {
  Endpoint endpoint;
  SECTION("absent") {
    endpoint.options.container_endpoint->authorization_token_file = "/proc/nowhere";
    CHECK(endpoint.error() ==
          "credentials from http://127.0.0.1:9001: open AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE "
          "'/proc/nowhere': No such file or directory");
  }
  SECTION("a directory") {
    endpoint.options.container_endpoint->authorization_token_file = "/proc";
    CHECK(endpoint.error().find("'/proc' is not a regular file") != std::string::npos);
  }
}
