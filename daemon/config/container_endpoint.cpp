// SPDX-License-Identifier: Apache-2.0
#include "config/container_endpoint.h"

#include "config/uri_text.h"
#include "config/variables.h"

#include <boost/url/ipv4_address.hpp>
#include <boost/url/ipv6_address.hpp>

#include <algorithm>
#include <array>

namespace tmpdump::config {
namespace {

constexpr std::string_view relative_name = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
constexpr std::string_view full_name = "AWS_CONTAINER_CREDENTIALS_FULL_URI";

result<std::optional<HttpUri>> endpoint_uri(const Variables& variables) {
  if (const auto path = variables.text(relative_name)) {
    auto uri = parse_http_uri("http://169.254.170.2" + *path);
    if (path->front() != '/' || !uri)
      return bad_value(relative_name, path->substr(0, path->find('?')),
                       "expected a path such as /v2/credentials");
    return std::optional(std::move(*uri));
  }
  const auto text = variables.text(full_name);
  if (!text) return std::optional<HttpUri>();
  auto uri = parse_http_uri(*text);
  if (!uri) return named(full_name, uri.error());
  if (!uri->tls && !is_trusted_without_tls(uri->host))
    return Failure{Errc::usage, std::string(full_name) + "=" + quoted_uri(*text) +
                                    ": expected https, or http to a loopback address, 169.254.170.2, "
                                    "169.254.170.23, or [fd00:ec2::23]"};
  return std::optional(std::move(*uri));
}

} // namespace

bool is_trusted_without_tls(std::string_view host) {
  if (const auto v4 = boost::urls::parse_ipv4_address(host))
    return v4->is_loopback() || *v4 == boost::urls::ipv4_address("169.254.170.2") ||
           *v4 == boost::urls::ipv4_address("169.254.170.23");
  if (const auto v6 = boost::urls::parse_ipv6_address(host))
    return v6->is_loopback() || *v6 == boost::urls::ipv6_address("fd00:ec2::23");
  constexpr std::string_view localhost = "localhost";
  return std::equal(host.begin(), host.end(), localhost.begin(), localhost.end(),
                    [](char a, char b) { return a == b || (a >= 'A' && a <= 'Z' && a - 'A' + 'a' == b); });
}

result<std::optional<ContainerEndpoint>> container_endpoint(const Environment& environment) {
  const Variables variables(environment);
  TMPDUMP_TRY(auto uri, endpoint_uri(variables));
  if (!uri) return std::optional<ContainerEndpoint>();
  ContainerEndpoint out;
  out.uri = std::move(*uri);
  TMPDUMP_TRY(out.authorization_token, variables.header_secret("AWS_CONTAINER_AUTHORIZATION_TOKEN"));
  out.authorization_token_file = variables.text("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE").value_or("");
  return std::optional(std::move(out));
}

} // namespace tmpdump::config
