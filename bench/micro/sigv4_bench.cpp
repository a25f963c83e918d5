// SPDX-License-Identifier: Apache-2.0
// What signing one ranged GET costs the network thread: once for each range of 8 MiB.
#include "s3/sigv4.h"
#include "support/catch.h"

using namespace tmpdump;

TEST_CASE("sign one ranged GET") {
  const credentials::Credentials long_lived{
      "AKIAIOSFODNN7EXAMPLE", Secret(std::string("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")), {}, {}};
  credentials::Credentials of_a_role = long_lived;
  of_a_role.session_token = Secret(std::string(900, 't')); // Lambda's tokens have about this many characters
  s3::SigningRequest request;
  request.host = "a-bucket-of-usual-length.s3.eu-central-1.amazonaws.com";
  request.path = "/tmpdump/a-function-of-usual-length.zip";
  request.headers = {{"range", "bytes=83886080-92274687"},
                     {"if-match", "\"0123456789abcdef0123456789abcdef-20\""}};
  request.payload_hash = s3::empty_payload_hash;
  const s3::SigningScope scope{"eu-central-1"};
  const auto now = std::chrono::system_clock::now();

  const auto signature_of = [&](const credentials::Credentials& keys) {
    return s3::sign(request, keys, scope, now).authorization.reveal().size();
  };
  REQUIRE(signature_of(of_a_role) > 200);
  BENCHMARK("sign, long-lived keys") {
    return s3::sign(request, long_lived, scope, now);
  };
  BENCHMARK("sign, a role's keys with a session token of 900 bytes") {
    return s3::sign(request, of_a_role, scope, now);
  };
  BENCHMARK("presign, a role's keys") {
    return s3::presign(request, of_a_role, scope, now, std::chrono::hours(1));
  };
}
