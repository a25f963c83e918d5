// SPDX-License-Identifier: Apache-2.0
// What the Extensions API answers to /event/next.
#include "fuzz.h"
#include "lambda/extensions_api.h"

#include <boost/json.hpp>

using namespace tmpdump;
using namespace tmpdump::fuzz;

FUZZ_TARGET(event) {
  const auto body = text_of(input.rest());
  const auto event = lambda::parse_event(body);
  if (!event) {
    require(event.error().code == Errc::network, "garbage is the other side's");
    return require_message(event.error());
  }
  if (event->type != lambda::EventType::shutdown)
    return require(event->shutdown_reason.empty(), "only SHUTDOWN has a reason");
  require(event->shutdown_reason.size() <= body.size(), "nothing is added");
  const auto again = lambda::parse_event(boost::json::serialize(
      boost::json::object{{"eventType", "SHUTDOWN"}, {"shutdownReason", event->shutdown_reason}}));
  require(again && again->type == lambda::EventType::shutdown,
          "SHUTDOWN is SHUTDOWN, whatever stands beside it");
  require(again->shutdown_reason == event->shutdown_reason, "the reason is a text");
}
