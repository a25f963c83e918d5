// SPDX-License-Identifier: Apache-2.0
// An object in memory whose every attempt can be told what to do, on one thread and without sockets:
// transfers are tested against it step by step.
#pragma once

#include "s3/object_source.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace tmpdump::test {

struct Act {
  std::optional<s3::GetFailure> refuse;     // instead of an answer
  std::optional<std::uint64_t> break_after; // the body fails after so many bytes
  std::optional<std::uint64_t> hang_after;  // the body stops for ever after so many bytes
  std::string etag;                         // other than the object's
};

inline s3::GetFailure network_error(const std::string& what = "reset") {
  return {{Errc::network, what}, s3::Verdict::retry_later, std::nullopt};
}

class ScriptedSource final : public s3::ObjectSource {
public:
  ScriptedSource(boost::asio::io_context& context, std::string bytes)
      : object(std::move(bytes)), context_(context) {}

  std::string object;
  std::string etag = "\"one\"";
  // Called for each attempt with its number (from 0) and range; what it returns happens.
  std::function<Act(std::size_t, const s3::GetRequest&)> script;
  std::vector<s3::GetRequest> asked;
  std::size_t in_flight = 0, most_in_flight = 0;

  boost::asio::awaitable<s3::attempt_result<s3::GetResponse>> get(s3::GetRequest request) override {
    const Act act = script ? script(asked.size(), request) : Act{};
    asked.push_back(request);
    co_await pause();
    if (act.refuse) co_return *act.refuse;
    if (!request.if_match.empty() && request.if_match != etag) {
      co_return s3::GetFailure{{Errc::changed, "412"}, s3::Verdict::changed, std::nullopt};
    }
    s3::GetResponse response;
    response.object_size = object.size();
    response.etag = act.etag.empty() ? etag : act.etag;
    if (const auto* slice = std::get_if<s3::Slice>(&request.range)) {
      if (slice->offset >= object.size()) {
        co_return s3::GetFailure{{Errc::bad_archive, "416"}, s3::Verdict::out_of_range, std::nullopt};
      }
      response.offset = slice->offset;
      response.length = std::min<std::uint64_t>(slice->length, object.size() - slice->offset);
    } else {
      response.length = std::min<std::uint64_t>(std::get<s3::Suffix>(request.range).length, object.size());
      response.offset = object.size() - response.length;
    }
    response.body =
        std::make_unique<ScriptedBody>(*this, object.substr(response.offset, response.length), act);
    co_return response;
  }
  [[nodiscard]] std::string display() const override { return "s3://bucket/key.zip"; }
  [[nodiscard]] std::uint64_t requests() const override { return asked.size(); }
  [[nodiscard]] std::uint64_t connections() const override { return most_in_flight; }

private:
  // Lets other coroutines run, as a socket would.
  boost::asio::awaitable<void> pause() {
    boost::asio::steady_timer now(context_, std::chrono::steady_clock::time_point::min());
    co_await now.async_wait(boost::asio::use_awaitable);
  }

  class ScriptedBody final : public s3::Body {
  public:
    ScriptedBody(ScriptedSource& source, std::string bytes, Act act)
        : source_(source), bytes_(std::move(bytes)), act_(std::move(act)) {
      source_.most_in_flight = std::max(source_.most_in_flight, ++source_.in_flight);
    }
    ScriptedBody(const ScriptedBody&) = delete;
    ScriptedBody& operator=(const ScriptedBody&) = delete;
    ~ScriptedBody() override { --source_.in_flight; }

    boost::asio::awaitable<s3::attempt_result<std::size_t>> read(MutableBytes out) override {
      co_await source_.pause();
      std::size_t wanted = std::min({out.size(), bytes_.size() - at_, std::size_t{50'000}});
      if (act_.hang_after) {
        wanted = std::min<std::size_t>(wanted, *act_.hang_after - at_);
        if (wanted == 0 && at_ < bytes_.size()) {
          boost::asio::steady_timer never(source_.context_, std::chrono::steady_clock::time_point::max());
          co_await never.async_wait(boost::asio::use_awaitable); // until cancelled
        }
      }
      if (act_.break_after) {
        wanted = std::min<std::size_t>(wanted, *act_.break_after - at_);
        if (wanted == 0 && at_ < bytes_.size()) co_return network_error();
      }
      std::memcpy(out.data(), bytes_.data() + at_, wanted);
      at_ += wanted;
      co_return wanted;
    }

  private:
    ScriptedSource& source_;
    std::string bytes_;
    Act act_;
    std::size_t at_ = 0;
  };

  boost::asio::io_context& context_;
};

} // namespace tmpdump::test
