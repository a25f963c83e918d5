// SPDX-License-Identifier: Apache-2.0
#include "lambda/extensions_api.h"

#include "config/uri.h"

#include <boost/json.hpp>

#include <array>
#include <memory>

namespace tmpdump::lambda {

using boost::asio::awaitable;

namespace {

constexpr std::size_t max_answer = std::size_t{64} * 1024;
// The API is a process on the same machine.
constexpr std::chrono::milliseconds answer_time{5000};
constexpr std::chrono::milliseconds no_limit = std::chrono::hours(24 * 365 * 100);

} // namespace

result<Event> parse_event(std::string_view json) {
  boost::system::error_code error;
  const auto value = boost::json::parse(json, error);
  if (error || !value.is_object()) return Failure{Errc::network, "the event is not a JSON object"};
  const auto text = [&](std::string_view key) -> std::string {
    const auto* member = value.as_object().if_contains(key);
    return member != nullptr && member->is_string() ? std::string(member->as_string()) : std::string();
  };
  const std::string type = text("eventType");
  if (type.empty()) return Failure{Errc::network, "the event has no eventType"};
  if (type != "SHUTDOWN") return Event{};
  return Event{EventType::shutdown, text("shutdownReason")};
}

result<ExtensionsApi> ExtensionsApi::create(net::Network& network, std::string_view host_and_port) {
  if (host_and_port.empty()) {
    return Failure{Errc::usage,
                   "AWS_LAMBDA_RUNTIME_API is not set: tmpdump-prefetch is a Lambda extension; outside of "
                   "Lambda use `tmpdump fetch`"};
  }
  const auto url = config::parse_endpoint_url("http://" + std::string(host_and_port));
  if (!url) {
    return Failure{Errc::usage,
                   "AWS_LAMBDA_RUNTIME_API='" + printable(host_and_port) + "': expected host:port"};
  }
  return ExtensionsApi(network, {false, url->host, url->port});
}

std::string ExtensionsApi::display(std::string_view what) const {
  return "Extensions API at " + origin_.display() + ", " + std::string(what);
}

awaitable<result<void>> ExtensionsApi::register_extension(std::string name) {
  net::Request request;
  request.method = "POST";
  request.target = "/2020-01-01/extension/register";
  request.headers = {{"Lambda-Extension-Name", std::move(name)}, {"Content-Type", "application/json"}};
  request.body = R"({"events":["SHUTDOWN"]})";
  const auto response = co_await network_->exchange(origin_, request, max_answer, answer_time);
  if (!response) co_return response.error().within(display("register"));
  if (response->head.status != 200) {
    co_return Failure{Errc::network, display("register") + ": HTTP " + std::to_string(response->head.status) +
                                         ": " + printable(response->body, 300)};
  }
  const auto identifier = response->head.header("lambda-extension-identifier");
  if (!identifier || identifier->empty()) {
    co_return Failure{Errc::network, display("register") + ": the answer has no Lambda-Extension-Identifier"};
  }
  identifier_ = *identifier;
  co_return result<void>{};
}

awaitable<result<Event>> ExtensionsApi::next() {
  auto connected = co_await network_->connect(origin_);
  if (!connected) co_return connected.error().within(display("next"));
  auto& connection = **connected;
  net::Request request;
  request.target = "/2020-01-01/extension/event/next";
  request.headers = {{"Lambda-Extension-Identifier", identifier_}};
  waiting_ = &connection;
  const auto forget = [this](void*) { waiting_ = nullptr; };
  const std::unique_ptr<void, decltype(forget)> guard(&connection, forget); // also when it is cancelled
  const auto head = co_await connection.request(request, no_limit);
  if (!head) co_return head.error().within(display("next"));
  std::string body;
  std::array<std::byte, 4096> buffer; // NOLINT(cppcoreguidelines-pro-type-member-init)
  for (;;) {
    const auto got = co_await connection.read_body(buffer, answer_time);
    if (!got) co_return got.error().within(display("next"));
    if (*got == 0) break;
    body.append(text_of(Bytes(buffer).first(*got)));
    if (body.size() > max_answer)
      co_return Failure{Errc::network, display("next") + ": the answer is too long"};
  }
  if (head->status != 200) {
    co_return Failure{Errc::network, display("next") + ": HTTP " + std::to_string(head->status) + ": " +
                                         printable(body, 300)};
  }
  auto event = parse_event(body);
  if (!event) co_return event.error().within(display("next"));
  co_return event;
}

awaitable<result<void>> ExtensionsApi::report_error(Phase phase, std::string error_type,
                                                    std::string message) {
  net::Request request;
  request.method = "POST";
  request.target =
      phase == Phase::init_error ? "/2020-01-01/extension/init/error" : "/2020-01-01/extension/exit/error";
  request.headers = {{"Lambda-Extension-Identifier", identifier_},
                     {"Lambda-Extension-Function-Error-Type", error_type},
                     {"Content-Type", "application/json"}};
  request.body = boost::json::serialize(boost::json::object{
      {"errorMessage", message}, {"errorType", error_type}, {"stackTrace", boost::json::array{}}});
  const auto response = co_await network_->exchange(origin_, request, max_answer, answer_time);
  if (!response) co_return response.error().within(display("error report"));
  if (response->head.status / 100 != 2) {
    co_return Failure{Errc::network,
                      display("error report") + ": HTTP " + std::to_string(response->head.status)};
  }
  co_return result<void>{};
}

} // namespace tmpdump::lambda
