// SPDX-License-Identifier: Apache-2.0
#include "support/fake_s3/auth.h"

#include "support/fake_s3/digest.h"

#include <algorithm>
#include <charconv>

namespace tmpdump::test {
namespace {

constexpr std::string_view algorithm = "AWS4-HMAC-SHA256";

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at <= text.size();) {
    const auto end = std::min(text.find(separator, at), text.size());
    parts.emplace_back(text.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

std::string trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ')
    text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ')
    text.remove_suffix(1);
  return std::string(text);
}

ErrorAnswer malformed(std::string message) {
  return {.status = 400, .code = "AuthorizationHeaderMalformed", .message = std::move(message)};
}
ErrorAnswer denied(std::string message = "Access Denied") {
  return {.status = 403, .code = "AccessDenied", .message = std::move(message)};
}

// AKID/20130524/us-east-1/s3/aws4_request
bool read_credential(std::string_view text, Signature& out) {
  const auto parts = split(text, '/');
  if (parts.size() != 5 || parts[4] != "aws4_request") return false;
  out.access_key = parts[0];
  out.date = parts[1];
  out.region = parts[2];
  out.service = parts[3];
  return true;
}

ReadSignature read_header_form(const Request& request, std::string_view authorization) {
  ReadSignature out;
  out.signature.how = SignedHow::header;
  if (!authorization.starts_with(algorithm)) {
    out.error =
        ErrorAnswer{.status = 400,
                    .code = "InvalidRequest",
                    .message = "The authorization mechanism you have provided is not supported. Please "
                               "use AWS4-HMAC-SHA256."};
    return out;
  }
  bool has_credential = false;
  for (const std::string& field : split(authorization.substr(algorithm.size()), ',')) {
    const std::string text = trimmed(field);
    const auto value = [&](std::string_view name) { return text.substr(name.size()); };
    if (text.starts_with("Credential="))
      has_credential = read_credential(value("Credential="), out.signature);
    if (text.starts_with("SignedHeaders="))
      out.signature.signed_headers = split(value("SignedHeaders="), ';');
    if (text.starts_with("Signature=")) out.signature.signature = value("Signature=");
  }
  if (!has_credential || out.signature.signed_headers.empty() || out.signature.signature.empty())
    out.error = malformed("The authorization header is malformed; expected Credential, SignedHeaders and "
                          "Signature.");
  out.signature.amz_date = request.header("x-amz-date").value_or("");
  out.signature.session_token = request.header("x-amz-security-token").value_or("");
  return out;
}

ReadSignature read_query_form(const HeaderList& query) {
  ReadSignature out;
  out.signature.how = SignedHow::presigned;
  const auto field = [&](std::string_view name) { return find(query, name).value_or(""); };
  out.signature.amz_date = field("X-Amz-Date");
  out.signature.expires = field("X-Amz-Expires");
  out.signature.signature = field("X-Amz-Signature");
  out.signature.session_token = field("X-Amz-Security-Token");
  out.signature.signed_headers = split(field("X-Amz-SignedHeaders"), ';');
  long seconds = 0;
  const std::string& text = out.signature.expires;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), seconds);
  const bool expires_ok = parsed.ec == std::errc() && parsed.ptr == text.data() + text.size() &&
                          seconds >= 1 && seconds <= 604'800; // 7 days
  if (field("X-Amz-Algorithm") != algorithm || !read_credential(field("X-Amz-Credential"), out.signature) ||
      out.signature.amz_date.empty() || !expires_ok)
    out.error =
        ErrorAnswer{.status = 400,
                    .code = "AuthorizationQueryParametersError",
                    .message = "Query-string authentication version 4 requires the X-Amz-Algorithm, "
                               "X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and "
                               "X-Amz-Expires parameters."};
  return out;
}

std::optional<std::time_t> time_of(const std::string& amz_date) {
  std::tm parts{};
  const char* end = strptime(amz_date.c_str(), "%Y%m%dT%H%M%SZ", &parts);
  if (end == nullptr || *end != '\0' || amz_date.size() != 16) return std::nullopt;
  return timegm(&parts);
}

std::string canonical_query(const Request& request) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const auto& [name, value] : query_of(request))
    if (name != "X-Amz-Signature")
      pairs.emplace_back(percent_encode(name, false), percent_encode(value, false));
  std::ranges::sort(pairs);
  std::string text;
  for (const auto& [name, value] : pairs)
    text.append(text.empty() ? "" : "&").append(name).append("=").append(value);
  return text;
}

// Values of one name joined by commas, runs of spaces made one.
std::string canonical_value(const Request& request, const std::string& name) {
  std::string joined;
  bool first = true;
  for (const auto& [other, value] : request.headers) {
    if (other != name) continue;
    if (!first) joined += ',';
    first = false;
    for (const char c : trimmed(value))
      if (c != ' ' || joined.empty() || joined.back() != ' ') joined += c;
  }
  return joined;
}

std::string canonical_request(const Request& request, const Signature& signature) {
  std::string text = request.method + '\n';
  text += percent_encode(percent_decode(request.raw_path()), true) + '\n';
  text += canonical_query(request) + '\n';
  std::string names;
  for (const std::string& name : signature.signed_headers) {
    text += name + ':' + canonical_value(request, name) + '\n';
    names += (names.empty() ? "" : ";") + name;
  }
  const std::string unsigned_payload = "UNSIGNED-PAYLOAD";
  const auto in_query = find(query_of(request), "X-Amz-Content-Sha256");
  const std::string payload =
      request.header("x-amz-content-sha256").value_or(in_query.value_or(unsigned_payload));
  return text + '\n' + names + '\n' + payload;
}

std::string string_to_sign(const Signature& signature, const std::string& canonical) {
  return std::string(algorithm) + '\n' + signature.amz_date + '\n' + signature.date + '/' + signature.region +
         '/' + signature.service + "/aws4_request\n" + sha256_hex(canonical);
}

std::string expected_signature(const Signature& signature, const std::string& secret,
                               const std::string& to_sign) {
  std::string key = hmac_sha256("AWS4" + secret, signature.date);
  key = hmac_sha256(key, signature.region);
  key = hmac_sha256(key, signature.service);
  key = hmac_sha256(key, "aws4_request");
  return hex(hmac_sha256(key, to_sign));
}

// Too early, too late, or for another day than it says.
std::optional<ErrorAnswer> check_time(const Signature& signature, std::time_t now) {
  constexpr std::time_t allowed_skew = 900;
  const auto signed_at = time_of(signature.amz_date);
  if (!signed_at) return denied("AWS authentication requires a valid Date or x-amz-date header");
  if (!signature.amz_date.starts_with(signature.date))
    return malformed("The date in the credential scope is not that of x-amz-date.");
  const bool too_early = *signed_at > now + allowed_skew;
  if (signature.how == SignedHow::presigned) {
    if (too_early) return denied("Request is not valid yet");
    if (now > *signed_at + std::stol(signature.expires)) return denied("Request has expired");
    return std::nullopt;
  }
  if (too_early || *signed_at < now - allowed_skew)
    return ErrorAnswer{.status = 403,
                       .code = "RequestTimeTooSkewed",
                       .message =
                           "The difference between the request time and the current time is too large.",
                       .details = {{"RequestTime", signature.amz_date},
                                   {"ServerTime", iso8601_date(now)},
                                   {"MaxAllowedSkewMilliseconds", "900000"}}};
  return std::nullopt;
}

// S3 insists that the host and all x-amz-* headers are covered by the signature.
std::optional<ErrorAnswer> check_coverage(const Request& request, const Signature& signature) {
  const auto is_signed = [&](const std::string& name) {
    return std::ranges::find(signature.signed_headers, name) != signature.signed_headers.end();
  };
  for (const auto& [name, value] : request.headers)
    if ((name == "host" || name.starts_with("x-amz-")) && !is_signed(name))
      return ErrorAnswer{.status = 403,
                         .code = "AccessDenied",
                         .message = "There were headers present in the request which were not signed",
                         .details = {{"HeadersNotSigned", name}}};
  if (signature.how == SignedHow::header && !request.header("x-amz-content-sha256"))
    return ErrorAnswer{.status = 400,
                       .code = "InvalidRequest",
                       .message = "Missing required header for this request: x-amz-content-sha256"};
  if (!std::ranges::is_sorted(signature.signed_headers)) return malformed("SignedHeaders must be sorted.");
  return std::nullopt;
}

std::optional<ErrorAnswer> check_payload(const Request& request) {
  const std::string declared = request.header("x-amz-content-sha256").value_or("UNSIGNED-PAYLOAD");
  if (declared == "UNSIGNED-PAYLOAD" || declared.starts_with("STREAMING-")) return std::nullopt;
  if (declared == sha256_hex(request.body)) return std::nullopt;
  return ErrorAnswer{.status = 400,
                     .code = "XAmzContentSHA256Mismatch",
                     .message =
                         "The provided 'x-amz-content-sha256' header does not match what was computed."};
}

} // namespace

ReadSignature read_signature(const Request& request) {
  const auto authorization = request.header("authorization");
  const HeaderList query = query_of(request);
  const bool in_query = find(query, "X-Amz-Algorithm") || find(query, "X-Amz-Signature");
  if (authorization && in_query)
    return {{},
            ErrorAnswer{.status = 400,
                        .code = "InvalidArgument",
                        .message =
                            "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, "
                            "Signature query string parameter or the Authorization header should be "
                            "specified"}};
  if (authorization) return read_header_form(request, *authorization);
  if (in_query) return read_query_form(query);
  return {};
}

std::optional<ErrorAnswer> check_signature(const Request& request, const Signature& signature,
                                           const std::vector<FakeCredentials>& known, std::string_view region,
                                           std::time_t now) {
  if (signature.how == SignedHow::not_signed) return denied();
  const auto credentials = std::ranges::find(known, signature.access_key, &FakeCredentials::access_key);
  if (credentials == known.end())
    return ErrorAnswer{.status = 403,
                       .code = "InvalidAccessKeyId",
                       .message = "The AWS Access Key Id you provided does not exist in our records.",
                       .details = {{"AWSAccessKeyId", signature.access_key}}};
  if (credentials->session_token != signature.session_token)
    return ErrorAnswer{.status = 400,
                       .code = "InvalidToken",
                       .message = "The provided token is malformed or otherwise invalid."};
  if (signature.service != "s3")
    return malformed("The credential scope names the service '" + signature.service + "', not 's3'.");
  if (signature.region != region) {
    ErrorAnswer error = malformed("The authorization header is malformed; the region '" + signature.region +
                                  "' is wrong; expecting '" + std::string(region) + "'");
    error.details = {{"Region", std::string(region)}};
    return error;
  }
  if (auto error = check_time(signature, now)) return error;
  if (auto error = check_coverage(request, signature)) return error;

  const std::string canonical = canonical_request(request, signature);
  const std::string to_sign = string_to_sign(signature, canonical);
  if (expected_signature(signature, credentials->secret_key, to_sign) != signature.signature)
    return ErrorAnswer{.status = 403,
                       .code = "SignatureDoesNotMatch",
                       .message = "The request signature we calculated does not match the signature you "
                                  "provided. Check your key and signing method.",
                       .details = {{"AWSAccessKeyId", signature.access_key},
                                   {"StringToSign", to_sign},
                                   {"SignatureProvided", signature.signature},
                                   {"CanonicalRequest", canonical}}};
  if (credentials->expired)
    return ErrorAnswer{.status = 400, .code = "ExpiredToken", .message = "The provided token has expired."};
  return check_payload(request);
}

} // namespace tmpdump::test
