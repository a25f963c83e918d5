// SPDX-License-Identifier: Apache-2.0
// Lambda's Extensions API, as an external extension sees it.
// Source: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html
#pragma once

#include "base/error.h"
#include "net/network.h"

#include <boost/asio/awaitable.hpp>

#include <string>
#include <string_view>

namespace tmpdump::lambda {

enum class EventType { shutdown, other };

struct Event {
  EventType type = EventType::other;
  std::string shutdown_reason; // "spindown", "timeout", "failure"; empty for other events
};

// Reads the body of /event/next; garbage is Errc::network. Pure.
result<Event> parse_event(std::string_view json);

// Network thread only.
class ExtensionsApi {
public:
  // `host_and_port`: AWS_LAMBDA_RUNTIME_API. `network` must outlive this.
  static result<ExtensionsApi> create(net::Network& network, std::string_view host_and_port);

  // Subscribes to SHUTDOWN alone: an extension that asks for INVOKE delays every invoke. `name` is the file
  // name of the executable, as the API demands.
  boost::asio::awaitable<result<void>> register_extension(std::string name);
  // Ends the extension's INIT and waits for the next event, without a limit: the environment may be frozen
  // for hours in between.
  boost::asio::awaitable<result<Event>> next();
  // The socket on which next() waits, once there is nothing else that it could do; else -1.
  [[nodiscard]] int idle_socket() const { return waiting_ == nullptr ? -1 : waiting_->silent_socket(); }
  // Tells Lambda why the extension gives up: `init_error` before the first next(), `exit_error` after it.
  enum class Phase { init_error, exit_error };
  boost::asio::awaitable<result<void>> report_error(Phase phase, std::string error_type, std::string message);

private:
  ExtensionsApi(net::Network& network, net::Origin origin) : network_(&network), origin_(std::move(origin)) {}
  [[nodiscard]] std::string display(std::string_view what) const;

  net::Network* network_;
  net::Origin origin_;
  std::string identifier_;
  const net::Connection* waiting_ = nullptr; // next()'s, while it waits
};

} // namespace tmpdump::lambda
