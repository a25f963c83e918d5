// SPDX-License-Identifier: Apache-2.0
// AWS Signature Version 4 for S3: pure functions from (request, credentials, time) to headers or a presigned
// query. Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html and
// sigv4-query-string-auth.html. S3 differs from other services: the path is encoded once and not normalized.
#pragma once

#include "credentials/keys.h"

#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tmpdump::s3 {

struct SigningRequest {
  std::string_view method = "GET";
  std::string_view host; // value of the Host header: with ":port" unless it is the scheme's default
  std::string_view path; // decoded: "/" + key, or "/" + bucket + "/" + key in path style
  std::vector<std::pair<std::string, std::string>> query; // decoded names and values, any order
  // Further headers to sign, e.g. {"range", "bytes=0-9"}; not those that SignedHeaders adds.
  std::vector<std::pair<std::string, std::string>> headers;
  std::string_view payload_hash = "UNSIGNED-PAYLOAD"; // or the SHA-256 in lower-case hex
};

// SHA-256 of no bytes: the payload hash of a GET.
inline constexpr std::string_view empty_payload_hash =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

struct SigningScope {
  std::string_view region;
  std::string_view service = "s3";
};

// The headers to add to the request: x-amz-date, x-amz-content-sha256, x-amz-security-token (when there is
// one), authorization. Their values are secrets in the sense of base/secret.h: they go on the wire and
// nowhere else.
struct SignedHeaders {
  std::string amz_date;
  std::string content_sha256;
  Secret security_token; // empty: none
  Secret authorization;
};
SignedHeaders sign(const SigningRequest& request, const credentials::Credentials& credentials,
                   const SigningScope& scope, std::chrono::system_clock::time_point now);

// The query string (encoded, without '?') that makes the request valid for `expires` (1 s to 7 days) from
// `now`. The payload is never signed here: payload_hash is not looked at.
Secret presign(const SigningRequest& request, const credentials::Credentials& credentials,
               const SigningScope& scope, std::chrono::system_clock::time_point now,
               std::chrono::seconds expires);

// URI-encodes all but A-Z a-z 0-9 - . _ ~, and '/' too unless `keep_slash`; upper-case hex.
std::string uri_encode(std::string_view text, bool keep_slash);

// Exposed for tests against AWS's published examples.
std::string canonical_request(const SigningRequest& request, const credentials::Credentials& credentials,
                              std::string_view amz_date);
std::string string_to_sign(std::string_view canonical, const SigningScope& scope, std::string_view amz_date);

} // namespace tmpdump::s3
