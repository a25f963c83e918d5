// SPDX-License-Identifier: Apache-2.0
// Every failure's message begins with the quoted text, so that callers can put "NAME=" before it.
#include "config/uri.h"

#include "config/uri_text.h"

#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>

#include <algorithm>
#include <charconv>
#include <optional>

namespace tmpdump::config {
namespace {

namespace urls = boost::urls;

constexpr std::size_t max_url = 16'384;   // bytes; a presigned URL with a long session token has about 2,000
constexpr std::size_t max_s3_key = 1'024; // bytes, "Naming Amazon S3 objects"
constexpr std::size_t max_host = 253;     // RFC 1035, 2.3.4, as text

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool only(std::string_view text, std::string_view also) {
  return std::all_of(text.begin(), text.end(),
                     [also](char c) { return is_alphanumeric(c) || also.find(c) != also.npos; });
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

// "https" of "HTTPS://host"; "file" of "file:/path"; empty for a path.
std::string scheme_of(std::string_view text) {
  const std::size_t colon = text.find(":/");
  if (colon == text.npos || colon == 0 || !only(text.substr(0, colon), "+-.")) return {};
  return lower(text.substr(0, colon));
}

Failure bad(std::string_view text, std::string_view reason) {
  return {Errc::usage, quoted_uri(text).append(": ").append(reason)};
}

std::string authority(bool tls, const std::string& host, std::uint16_t port) {
  std::string out = host.find(':') == host.npos ? host : "[" + host + "]";
  if (port != (tls ? 443 : 80)) out.append(":").append(std::to_string(port));
  return out;
}

result<S3Uri> parse_s3(std::string_view text) {
  constexpr std::size_t prefix = std::string_view("s3://").size();
  if (!text.substr(2).starts_with("://")) return bad(text, "expected s3://BUCKET/KEY");
  const std::string_view rest = text.substr(prefix);
  const std::size_t slash = rest.find('/');
  const std::string_view bucket = rest.substr(0, slash);
  if (bucket.empty()) return bad(text, "names no bucket: expected s3://BUCKET/KEY");
  if (const auto checked = check_bucket(bucket); !checked) return bad(text, checked.error().message);
  if (slash == rest.npos || slash + 1 == rest.size())
    return bad(text, "names a bucket but no key: expected s3://BUCKET/KEY");
  const std::string_view key = rest.substr(slash + 1);
  if (key.size() > max_s3_key) return bad(text, "the key is longer than S3's 1024 bytes");
  return S3Uri{std::string(bucket), std::string(key)};
}

// The host without brackets, or nullopt.
std::optional<std::string> host_of(const urls::url_view& url) {
  switch (url.host_type()) {
  case urls::host_type::ipv4:
  case urls::host_type::ipv6:
    return std::string(url.encoded_host_address());
  case urls::host_type::name: {
    std::string name(url.encoded_host());
    if (name.empty() || name.size() > max_host || !only(name, "-._")) return {};
    return name;
  }
  default:
    return {};
  }
}

result<HttpUri> parse_http(std::string_view text) {
  if (text.size() > max_url) return bad(text, "is longer than 16384 bytes");
  const auto parsed = urls::parse_uri(text);
  if (!parsed) return bad(text, "is not a valid URL (characters such as spaces are written %20)");
  const urls::url_view& url = *parsed;
  if (url.has_userinfo()) return bad(text, "user names and passwords in URLs are not supported");
  if (url.has_fragment()) return bad(text, "has a fragment; a '#' in a path is written %23");
  HttpUri out;
  out.tls = url.scheme_id() == urls::scheme::https;
  const auto host = host_of(url);
  if (!host) return bad(text, "names no valid host");
  out.host = *host;
  out.port = out.tls ? 443 : 80;
  const std::string_view port = url.port();
  if (!port.empty()) { // not url.port_number(): Boost 1.81 gives 65616 as 80
    const auto [stop, error] = std::from_chars(port.data(), port.data() + port.size(), out.port);
    if (error != std::errc() || stop != port.data() + port.size() || out.port == 0)
      return bad(text, "expected a port from 1 to 65535");
  }
  out.path = url.encoded_path().empty() ? "/" : std::string(url.encoded_path());
  // Boost 1.81 reads "http://host:x/" as port "" and path "x/".
  if (out.path.front() != '/') return bad(text, "expected digits after the host's ':', and then a '/'");
  if (url.has_query()) out.query = Secret(std::string(url.encoded_query()));
  return out;
}

// file:///path and file:/path, percent-decoded (RFC 8089).
result<FileUri> parse_file(std::string_view text) {
  const auto parsed = urls::parse_uri(text);
  if (!parsed || parsed->has_query() || parsed->has_fragment())
    return bad(text, "is not a valid file:///PATH (a plain path needs no encoding)");
  if (!parsed->encoded_host().empty() && lower(parsed->encoded_host()) != "localhost")
    return bad(text, "names a host; expected file:///PATH");
  std::string path = parsed->path();
  if (path.find('\0') != path.npos) return bad(text, "has a NUL byte");
  return FileUri{std::move(path)};
}

} // namespace

std::string quoted_uri(std::string_view text) {
  const std::string scheme = scheme_of(text);
  const bool may_hold_secrets =
      scheme.empty() ? text.find("://") != text.npos : scheme != "s3" && scheme != "file";
  if (!may_hold_secrets) return "'" + printable(text) + "'";
  // The query of a presigned URL and user info are credentials. A malformed URL may hide them anywhere: shown
  // are the scheme, and the host and path if they follow the last '@' and come before the first '?' or '#'.
  const std::size_t end = std::min(text.find_first_of("?#"), text.size());
  const std::size_t at = text.rfind('@');
  if (at == text.npos) return "'" + printable(text.substr(0, end)) + "'";
  const std::string_view tail = at < end ? text.substr(at, end - at) : "";
  std::string shown = scheme.empty() ? "'..." : "'" + scheme + "://...";
  return shown.append(printable(tail)).append("'");
}

result<void> check_bucket(std::string_view name) {
  if (name.size() < 3 || name.size() > 63 || !only(name, "-._"))
    return Failure{Errc::usage, "a bucket's name has 3 to 63 letters, digits, dots, and hyphens"};
  return {};
}

result<SourceUri> parse_source_uri(std::string_view text) {
  if (text.empty()) return bad(text, "expected s3://BUCKET/KEY, a URL, or a file");
  if (text.find('\0') != text.npos) return bad(text, "has a NUL byte");
  const std::string scheme = scheme_of(text);
  if (scheme == "s3") {
    TMPDUMP_TRY(S3Uri uri, parse_s3(text));
    return SourceUri(std::move(uri));
  }
  if (scheme == "http" || scheme == "https") {
    TMPDUMP_TRY(HttpUri uri, parse_http(text));
    return SourceUri(std::move(uri));
  }
  if (scheme == "file") {
    TMPDUMP_TRY(FileUri uri, parse_file(text));
    return SourceUri(std::move(uri));
  }
  // A path with "://" in it is a mistyped URL, and must not be shown as a path is.
  if (!scheme.empty() || text.find("://") != text.npos || lower(text.substr(0, 4)) == "arn:")
    return bad(text, "expected s3://BUCKET/KEY, http://, https://, file://, or a path");
  return SourceUri(FileUri{std::string(text)});
}

result<HttpUri> parse_http_uri(std::string_view text) {
  const std::string scheme = scheme_of(text);
  if (scheme != "http" && scheme != "https") return bad(text, "expected a URL with http:// or https://");
  return parse_http(text);
}

std::string display(const SourceUri& uri) {
  if (const auto* s3 = std::get_if<S3Uri>(&uri)) return printable("s3://" + s3->bucket + "/" + s3->key, 2048);
  if (const auto* http = std::get_if<HttpUri>(&uri))
    return printable(std::string(http->tls ? "https://" : "http://") +
                         authority(http->tls, http->host, http->port) + http->path,
                     2048);
  return printable(std::get<FileUri>(uri).path, 4096);
}

result<EndpointUrl> parse_endpoint_url(std::string_view text) {
  TMPDUMP_TRY(const HttpUri url, parse_http_uri(text));
  if (url.path != "/" || text.find('?') != text.npos)
    return bad(text, "expected an endpoint without path or query, such as https://minio.example:9000");
  return EndpointUrl{url.tls, url.host, url.port};
}

} // namespace tmpdump::config
