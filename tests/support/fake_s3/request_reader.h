// SPDX-License-Identifier: Apache-2.0
// Reads requests off a stream, one after another; HTTP's grammar is Beast's.
#pragma once

#include "support/fake_s3/http.h"
#include "support/fake_s3/stream.h"

#include <boost/asio/awaitable.hpp>

#include <optional>
#include <string>

namespace tmpdump::test {

class RequestReader {
public:
  explicit RequestReader(Stream& stream) : stream_(stream) {}

  // Nothing: the client left, or spoke no HTTP (it was told 400).
  boost::asio::awaitable<std::optional<Request>> read();

private:
  Stream& stream_;
  std::string received_; // not parsed yet
};

} // namespace tmpdump::test
