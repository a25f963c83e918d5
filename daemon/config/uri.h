// SPDX-License-Identifier: Apache-2.0
// Where an archive lives: s3://BUCKET/KEY, http(s)://..., or a local path. Pure parsing, no I/O.
#pragma once

#include "base/error.h"
#include "base/secret.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

namespace tmpdump::config {

// The key is kept byte for byte as typed: S3 keys are not URL-decoded in s3:// URIs (as the aws CLI does).
struct S3Uri {
  std::string bucket;
  std::string key;
};

// A plain or presigned URL. The query of a presigned URL is a credential: it is kept apart and never printed.
struct HttpUri {
  bool tls = false;
  std::string host; // without brackets for IPv6 literals
  std::uint16_t port = 0;
  std::string path; // encoded, begins with '/', without the query
  Secret query;     // without '?'; empty when there is none
};

struct FileUri {
  std::string path;
};

using SourceUri = std::variant<S3Uri, HttpUri, FileUri>;

// Accepts s3://b/k, http://, https://, file:///p, and paths. Anything with another scheme is a usage error.
result<SourceUri> parse_source_uri(std::string_view text);

// For people and the manifest: without query and user info, printable.
std::string display(const SourceUri& uri);

// An endpoint such as http://127.0.0.1:9000 or https://minio.example (no path but "/", no query).
struct EndpointUrl {
  bool tls = true;
  std::string host;
  std::uint16_t port = 443;
};
result<EndpointUrl> parse_endpoint_url(std::string_view text);

} // namespace tmpdump::config
