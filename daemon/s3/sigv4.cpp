// SPDX-License-Identifier: Apache-2.0
#include "s3/sigv4.h"

#include "s3/sha256.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <array>

namespace tmpdump::s3 {
namespace {

constexpr std::string_view algorithm = "AWS4-HMAC-SHA256";

using Pairs = std::vector<std::pair<std::string, std::string>>;

void append_hex(std::string& out, const Digest& digest) {
  static constexpr char digits[] = "0123456789abcdef";
  for (const unsigned char byte : digest) {
    out.push_back(digits[byte >> 4U]);
    out.push_back(digits[byte & 15U]);
  }
}

constexpr std::array<bool, 256> unreserved = [] { // RFC 3986, section 2.3
  std::array<bool, 256> table{};
  for (unsigned c = 0; c < 256; ++c)
    table[c] = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
               c == '.' || c == '_' || c == '~';
  return table;
}();

void append_encoded(std::string& out, std::string_view text, bool keep_slash) {
  static constexpr char digits[] = "0123456789ABCDEF";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (unreserved[byte] || (c == '/' && keep_slash)) {
      out.push_back(c);
    } else {
      out.append({'%', digits[byte >> 4U], digits[byte & 15U]});
    }
  }
}

// Without white space at the ends, and with one space for each run inside ("Trimall").
void append_trimmed(std::string& out, std::string_view value) {
  if (value.find(' ') == value.npos && value.find('\t') == value.npos) { // all that we send, tokens above all
    out.append(value);
    return;
  }
  bool gap = false;
  const std::size_t start = out.size();
  for (const char c : value) {
    if (c == ' ' || c == '\t') {
      gap = true;
      continue;
    }
    if (gap && out.size() > start) out.push_back(' ');
    gap = false;
    out.push_back(c);
  }
}

// The headers in canonical order: names in lower case; equal names keep the request's order.
struct CanonicalHeaders {
  std::vector<std::pair<std::string, std::string_view>> pairs;

  void add(std::string_view name, std::string_view value) {
    std::string lower(name);
    for (char& c : lower)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    pairs.emplace_back(std::move(lower), value);
  }
  void sort() {
    std::stable_sort(pairs.begin(), pairs.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
  }
  // "name:value\n" each; values of repeated names are joined by commas.
  void append_lines(std::string& out) const {
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      if (i > 0 && pairs[i].first == pairs[i - 1].first) {
        out.back() = ',';
      } else {
        out.append(pairs[i].first).push_back(':');
      }
      append_trimmed(out, pairs[i].second);
      out.push_back('\n');
    }
  }
  // "host;range;x-amz-date"
  void append_names(std::string& out) const {
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      if (i > 0 && pairs[i].first == pairs[i - 1].first) continue;
      if (i > 0) out.push_back(';');
      out.append(pairs[i].first);
    }
  }
};

CanonicalHeaders headers_of(const SigningRequest& request) {
  CanonicalHeaders headers;
  headers.pairs.reserve(request.headers.size() + 4);
  headers.add("host", request.host);
  for (const auto& [name, value] : request.headers)
    headers.add(name, value);
  return headers;
}

// With what the header form adds.
CanonicalHeaders signed_headers(const SigningRequest& request, const credentials::Credentials& credentials,
                                std::string_view amz_date) {
  CanonicalHeaders headers = headers_of(request);
  headers.add("x-amz-content-sha256", request.payload_hash);
  headers.add("x-amz-date", amz_date);
  if (!credentials.session_token.empty())
    headers.add("x-amz-security-token", credentials.session_token.reveal());
  headers.sort();
  return headers;
}

void append_parameter(std::string& out, std::string_view encoded_name, std::string_view encoded_value) {
  if (!out.empty()) out.push_back('&');
  out.append(encoded_name).append("=").append(encoded_value);
}

// Sorted after encoding, by name, then by value.
std::string canonical_query(const Pairs& query) {
  if (query.empty()) return {};
  Pairs encoded;
  encoded.reserve(query.size());
  for (const auto& [name, value] : query)
    encoded.emplace_back(uri_encode(name, false), uri_encode(value, false));
  std::sort(encoded.begin(), encoded.end());
  std::string out;
  for (const auto& [name, value] : encoded)
    append_parameter(out, name, value);
  return out;
}

std::string canonical(const SigningRequest& request, std::string_view query, const CanonicalHeaders& headers,
                      std::string_view payload_hash) {
  std::size_t size = request.path.size() + query.size() + 256;
  for (const auto& [name, value] : headers.pairs)
    size += 2 * name.size() + value.size() + 3;
  std::string out;
  out.reserve(size);
  out.append(request.method).push_back('\n');
  append_encoded(out, request.path, true);
  out.append("\n").append(query).append("\n");
  headers.append_lines(out);
  out.push_back('\n');
  headers.append_names(out);
  out.append("\n").append(payload_hash);
  return out;
}

// YYYYMMDD'T'HHMMSS'Z', UTC.
std::string format_time(std::chrono::system_clock::time_point now) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(now);
  const auto day = std::chrono::floor<std::chrono::days>(seconds);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss time(seconds - day);
  std::string out = "00000000T000000Z";
  const auto put = [&out](std::size_t at, std::size_t digits, long value) {
    for (; digits > 0; --digits, value /= 10)
      out[at + digits - 1] = static_cast<char>('0' + value % 10);
  };
  put(0, 4, int{date.year()});
  put(4, 2, static_cast<long>(unsigned{date.month()}));
  put(6, 2, static_cast<long>(unsigned{date.day()}));
  put(9, 2, time.hours().count());
  put(11, 2, time.minutes().count());
  put(13, 2, time.seconds().count());
  return out;
}

// "20130524/us-east-1/s3/aws4_request"
void append_scope(std::string& out, const SigningScope& scope, std::string_view amz_date) {
  out.append(amz_date.substr(0, 8)).append("/").append(scope.region).append("/");
  out.append(scope.service).append("/aws4_request");
}

std::string string_to_sign(Hasher& hasher, std::string_view canonical, const SigningScope& scope,
                           std::string_view amz_date) {
  std::string out;
  out.reserve(160);
  out.append(algorithm).append("\n").append(amz_date).append("\n");
  append_scope(out, scope, amz_date);
  out.push_back('\n');
  append_hex(out, hasher.sha256(canonical));
  return out;
}

void append_signature(std::string& out, std::string_view canonical,
                      const credentials::Credentials& credentials, const SigningScope& scope,
                      std::string_view amz_date) {
  Hasher hasher;
  std::string secret;
  secret.reserve(4 + credentials.secret_access_key.reveal().size());
  secret.append("AWS4").append(credentials.secret_access_key.reveal());
  Digest key = hasher.hmac(secret, amz_date.substr(0, 8));
  OPENSSL_cleanse(secret.data(), secret.size());
  key = hasher.hmac(view(key), scope.region);
  key = hasher.hmac(view(key), scope.service);
  key = hasher.hmac(view(key), "aws4_request");
  append_hex(out, hasher.hmac(view(key), string_to_sign(hasher, canonical, scope, amz_date)));
  OPENSSL_cleanse(key.data(), key.size());
}

} // namespace

std::string uri_encode(std::string_view text, bool keep_slash) {
  std::string out;
  out.reserve(text.size() + text.size() / 4);
  append_encoded(out, text, keep_slash);
  return out;
}

std::string canonical_request(const SigningRequest& request, const credentials::Credentials& credentials,
                              std::string_view amz_date) {
  return canonical(request, canonical_query(request.query), signed_headers(request, credentials, amz_date),
                   request.payload_hash);
}

std::string string_to_sign(std::string_view canonical, const SigningScope& scope, std::string_view amz_date) {
  Hasher hasher;
  return string_to_sign(hasher, canonical, scope, amz_date);
}

SignedHeaders sign(const SigningRequest& request, const credentials::Credentials& credentials,
                   const SigningScope& scope, std::chrono::system_clock::time_point now) {
  const std::string amz_date = format_time(now);
  const CanonicalHeaders headers = signed_headers(request, credentials, amz_date);
  std::string authorization;
  authorization.reserve(320);
  authorization.append(algorithm).append(" Credential=").append(credentials.access_key_id).append("/");
  append_scope(authorization, scope, amz_date);
  authorization.append(", SignedHeaders=");
  headers.append_names(authorization);
  authorization.append(", Signature=");
  std::string text = canonical(request, canonical_query(request.query), headers, request.payload_hash);
  const WipedAtEnd wiped(text); // it holds the session's token
  append_signature(authorization, text, credentials, scope, amz_date);
  return {amz_date, std::string(request.payload_hash), credentials.session_token,
          Secret(std::move(authorization))};
}

Secret presign(const SigningRequest& request, const credentials::Credentials& credentials,
               const SigningScope& scope, std::chrono::system_clock::time_point now,
               std::chrono::seconds expires) {
  const std::string amz_date = format_time(now);
  CanonicalHeaders headers = headers_of(request);
  headers.sort();
  std::string credential = credentials.access_key_id + "/";
  append_scope(credential, scope, amz_date);
  std::string names;
  headers.append_names(names);

  Pairs query = request.query;
  query.emplace_back("X-Amz-Algorithm", algorithm);
  query.emplace_back("X-Amz-Credential", std::move(credential));
  query.emplace_back("X-Amz-Date", amz_date);
  query.emplace_back("X-Amz-Expires", std::to_string(expires.count()));
  query.emplace_back("X-Amz-SignedHeaders", std::move(names));
  if (!credentials.session_token.empty())
    query.emplace_back("X-Amz-Security-Token", credentials.session_token.reveal());

  std::string out;
  for (const auto& [name, value] : query)
    append_parameter(out, uri_encode(name, false), uri_encode(value, false));
  out.append("&X-Amz-Signature=");
  append_signature(out, canonical(request, canonical_query(query), headers, "UNSIGNED-PAYLOAD"), credentials,
                   scope, amz_date);
  return Secret(std::move(out));
}

} // namespace tmpdump::s3
