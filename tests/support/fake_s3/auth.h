// SPDX-License-Identifier: Apache-2.0
// Checks an AWS Signature Version 4, in headers or in a presigned query, against the request as it arrived.
// Written from AWS's description alone, apart from the client's signer, so that the two cannot share a
// mistake: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-auth-using-authorization-header.html and
// sigv4-query-string-auth.html.
#pragma once

#include "support/fake_s3.h"
#include "support/fake_s3/http.h"

#include <ctime>
#include <optional>
#include <string>
#include <vector>

namespace tmpdump::test {

struct Signature {
  SignedHow how = SignedHow::not_signed;
  std::string access_key;
  std::string date, region, service; // the scope
  std::string amz_date;              // 20130524T000000Z
  std::string expires;               // seconds, presigned only
  std::vector<std::string> signed_headers;
  std::string signature;
  std::string session_token;
};

// What the request says about its signature; an ErrorAnswer where it cannot be understood.
struct ReadSignature {
  Signature signature;
  std::optional<ErrorAnswer> error;
};
ReadSignature read_signature(const Request& request);

// Nothing when the request is allowed.
std::optional<ErrorAnswer> check_signature(const Request& request, const Signature& signature,
                                           const std::vector<FakeCredentials>& known, std::string_view region,
                                           std::time_t now);

} // namespace tmpdump::test
