// SPDX-License-Identifier: Apache-2.0
// An archive in S3 (signed, any endpoint) or behind a plain or presigned URL.
#pragma once

#include "base/trace.h"
#include "config/options.h"
#include "credentials/credentials.h"
#include "net/network.h"
#include "s3/object_source.h"

#include <memory>

namespace tmpdump::s3 {

// Keeps connections alive between requests. Follows a redirect to the bucket's region once, asks for new
// credentials once per ExpiredToken, and adopts the server's clock after RequestTimeTooSkewed.
class HttpSource final : public ObjectSource {
public:
  // `options.source` is an S3Uri or an HttpUri. All references must outlive the source; `trace` may be null.
  HttpSource(const config::Options& options, net::Network& network, credentials::Provider& credentials,
             Trace* trace);
  ~HttpSource() override;

  boost::asio::awaitable<attempt_result<GetResponse>> get(GetRequest request) override;
  void close_idle() override;
  [[nodiscard]] std::string display() const override;
  [[nodiscard]] std::uint64_t requests() const override;
  [[nodiscard]] std::uint64_t connections() const override;

  [[nodiscard]] std::chrono::steady_clock::time_point first_connected() const override;

  struct State; // shared with the bodies, which return their connection
private:
  std::shared_ptr<State> state_;
};

} // namespace tmpdump::s3
