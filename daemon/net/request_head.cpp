// SPDX-License-Identifier: Apache-2.0
#include "net/request_head.h"

#include <algorithm>
#include <cstdint>

namespace tmpdump::net {
namespace {

bool is_token_char(char c) { // RFC 9110 section 5.6.2
  const bool alphanumeric = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  return alphanumeric || (c != '\0' && std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos);
}

bool is_value_char(char c) { // RFC 9110 section 5.5, obs-text included
  const auto byte = static_cast<std::uint8_t>(c);
  return (byte >= 0x20 && byte != 0x7F) || c == '\t';
}

bool is_target_char(char c) {
  const auto byte = static_cast<std::uint8_t>(c);
  return byte > 0x20 && byte < 0x7F;
}

bool all_of(std::string_view text, bool (*predicate)(char)) {
  return std::all_of(text.begin(), text.end(), predicate);
}

bool is_named(std::string_view name, std::string_view lower) {
  return std::equal(name.begin(), name.end(), lower.begin(), lower.end(),
                    [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b; });
}

void add_line(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ").append(value).append("\r\n");
}

} // namespace

void wipe_secrets(Request& request) {
  wipe(request.target);
  for (Header& header : request.headers) {
    if (header.secret) wipe(header.value);
  }
}

result<std::string> serialize(const Request& request, const Origin& origin, std::string_view user_agent) {
  const auto refuse = [&](const std::string& what) {
    return Failure{Errc::usage, "request to " + origin.display() + ": " + what};
  };
  if (request.method.empty() || !all_of(request.method, is_token_char)) return refuse("bad method");
  if (request.target.empty() || !all_of(request.target, is_target_char)) {
    return refuse("the target has a character that must be percent-encoded");
  }
  if (!all_of(origin.host, is_target_char)) return refuse("bad host name");
  if (!all_of(user_agent, is_value_char)) return refuse("bad user agent");

  bool has_host = false, has_agent = user_agent.empty();
  for (const Header& header : request.headers) {
    const std::string quoted = "header '" + printable(header.name) + "'";
    if (header.name.empty() || !all_of(header.name, is_token_char)) return refuse(quoted + ": bad name");
    if (!all_of(header.value, is_value_char)) return refuse(quoted + ": control character in its value");
    for (const std::string_view framing : {"content-length", "transfer-encoding", "connection"}) {
      if (is_named(header.name, framing)) return refuse(quoted + " is set by the connection itself");
    }
    has_host |= is_named(header.name, "host");
    has_agent |= is_named(header.name, "user-agent");
  }

  std::string out;
  std::size_t size = 1024 + request.target.size() + request.body.size();
  for (const Header& header : request.headers)
    size += header.name.size() + header.value.size() + 4;
  out.reserve(size); // grown, it would leave secrets behind
  out.append(request.method).append(" ").append(request.target).append(" HTTP/1.1\r\n");
  if (!has_host) add_line(out, "Host", origin.host_header());
  if (!has_agent) add_line(out, "User-Agent", user_agent);
  for (const Header& header : request.headers) {
    add_line(out, header.name, header.value);
  }
  const bool expects_body = request.method == "POST" || request.method == "PUT" || request.method == "PATCH";
  if (expects_body || !request.body.empty())
    add_line(out, "Content-Length", std::to_string(request.body.size()));
  out.append("\r\n").append(request.body);
  return out;
}

} // namespace tmpdump::net
