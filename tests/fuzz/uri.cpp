// SPDX-License-Identifier: Apache-2.0
// Addresses, as people and the environment give them.
#include "config/uri.h"

#include "fuzz.h"

using namespace tmpdump;
using namespace tmpdump::fuzz;

FUZZ_TARGET(uri) {
  const auto text = text_of(input.rest());
  const auto source = config::parse_source_uri(text);
  if (!source) {
    require_message(source.error());
  } else {
    for (const char c : config::display(*source))
      require(static_cast<unsigned char>(c) >= 0x20 && c != 0x7F, "what is displayed is printable");
    if (const auto* http = std::get_if<config::HttpUri>(&*source)) {
      require(!http->host.empty() && http->path.starts_with('/'), "a URL has a host and a path");
      for (const std::string_view part :
           {std::string_view(http->host), std::string_view(http->path), http->query.reveal()}) {
        for (const char c : part)
          require(static_cast<unsigned char>(c) > 0x20 && c != 0x7F, "a request line cannot be forged");
      }
    } else if (const auto* s3 = std::get_if<config::S3Uri>(&*source)) {
      require(s3->bucket.size() >= 3 && s3->bucket.size() <= 63 && !s3->key.empty(), "a bucket and a key");
      require(s3->bucket.find_first_of("/@:?#\r\n ") == std::string::npos, "a bucket is a name");
    }
  }
  const auto endpoint = config::parse_endpoint_url(text);
  if (!endpoint) return require_message(endpoint.error());
  require(!endpoint->host.empty() && endpoint->port != 0, "an endpoint has a host and a port");
  require(endpoint->host.find_first_of("/@?#\r\n ") == std::string::npos, "a host is a name");
}
