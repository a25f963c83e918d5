// SPDX-License-Identifier: Apache-2.0
// Lambda's, ECS's or EKS's credentials endpoint beside a Pipeline.
#pragma once

#include "support/loopback_server.h"
#include "support/pipeline.h"

#include <algorithm>
#include <string>
#include <vector>

namespace tmpdump::test {

inline FakeCredentials keys_of(const std::string& id, bool expired) {
  return {.access_key = id, .secret_key = id + "-secret", .session_token = id + "-token", .expired = expired};
}

// One answer after the other, the last one for ever; an answer is the name of keys, or, where it begins with
// "HTTP/", what goes on the wire. Closes each connection.
class ContainerEndpoint {
public:
  explicit ContainerEndpoint(Pipeline& pipeline, std::vector<std::string> answers)
      : answers_(std::move(answers)) {
    for (const char* name : {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"})
      pipeline.environment.erase(name);
    pipeline.beside = [this, &pipeline](boost::asio::io_context& context) {
      auto server =
          std::make_shared<LoopbackServer>(context, [this](Peer& peer) -> boost::asio::awaitable<void> {
            co_await peer.read_request();
            const std::string& answer = answers_[std::min(asked_++, answers_.size() - 1)];
            // A variable: GCC 12 destroys a conditional temporary within co_await twice.
            const std::string text = answer.starts_with("HTTP/") ? answer : keys(answer);
            co_await peer.send(text);
          });
      pipeline.environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"] =
          "http://127.0.0.1:" + std::to_string(server->port()) + "/keys";
      return server;
    };
  }
  ContainerEndpoint(const ContainerEndpoint&) = delete;
  ContainerEndpoint& operator=(const ContainerEndpoint&) = delete;
  [[nodiscard]] std::size_t asked() const { return asked_; }

private:
  static std::string keys(const std::string& id) {
    const FakeCredentials made = keys_of(id, false);
    const std::string body = R"({"AccessKeyId":")" + made.access_key + R"(","SecretAccessKey":")" +
                             made.secret_key + R"(","Token":")" + made.session_token +
                             R"(","Expiration":"2099-01-01T00:00:00Z"})";
    return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " +
           std::to_string(body.size()) + "\r\n\r\n" + body;
  }

  std::vector<std::string> answers_;
  std::size_t asked_ = 0;
};

} // namespace tmpdump::test
