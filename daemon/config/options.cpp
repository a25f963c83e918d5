// SPDX-License-Identifier: Apache-2.0
#include "config/options.h"

#include "config/container_endpoint.h"
#include "config/uri_text.h"
#include "config/variables.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace tmpdump::config {
namespace {

constexpr unsigned max_connections = 64;

// The bucket's variable and its value; ours wins over the original layer's.
std::optional<std::pair<std::string_view, std::string>> bucket_variable(const Variables& variables) {
  for (const std::string_view name : {"TMPDUMP_BUCKET", "HUMANGRAPHICS_BUCKET"})
    if (auto value = variables.text(name)) return std::pair(name, std::move(*value));
  return {};
}

result<SourceUri> source_of(const Variables& variables, const Overrides& overrides,
                            const std::string& function_name) {
  if (overrides.source) return parse_source_uri(*overrides.source);
  if (auto uri = variables.text("TMPDUMP_URI")) {
    const WipedAtEnd wiped(*uri); // perhaps a presigned one
    auto source = parse_source_uri(*uri);
    if (!source) return named("TMPDUMP_URI", source.error());
    return source;
  }
  const auto bucket = bucket_variable(variables);
  if (!bucket)
    return Failure{Errc::usage, "nothing says where the archive is: set TMPDUMP_URI=s3://BUCKET/KEY, or "
                                "TMPDUMP_BUCKET for s3://BUCKET/tmpdump/FUNCTION.zip"};
  const auto& [name, value] = *bucket;
  if (const auto checked = check_bucket(value); !checked)
    return bad_value(name, value, checked.error().message);
  if (function_name.empty())
    return Failure{Errc::usage, std::string(name) + " is set, but AWS_LAMBDA_FUNCTION_NAME is not: set "
                                                    "TMPDUMP_URI=s3://BUCKET/KEY"};
  return SourceUri(S3Uri{value, "tmpdump/" + function_name + ".zip"});
}

// The region becomes a part of S3's host name.
result<std::string> region_of(const Variables& variables, const Overrides& overrides) {
  std::string_view name = "--region";
  std::optional<std::string> region = overrides.region;
  for (const std::string_view variable : {"AWS_REGION", "AWS_DEFAULT_REGION"}) {
    if (region) break;
    name = variable;
    region = variables.text(variable);
  }
  if (!region) return std::string();
  const bool is_label =
      !region->empty() && region->size() <= 63 && std::all_of(region->begin(), region->end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
      });
  if (!is_label) return bad_value(name, *region, "expected a region such as eu-central-1");
  return *region;
}

result<std::optional<EndpointUrl>> endpoint_of(const Variables& variables, const Overrides& overrides) {
  TMPDUMP_TRY(const bool ignored, variables.boolean("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"));
  std::string_view name = "--endpoint";
  std::optional<std::string> text = overrides.endpoint;
  for (const std::string_view variable : {"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"}) {
    if (text || ignored) break;
    name = variable;
    text = variables.text(variable);
  }
  if (!text) return std::optional<EndpointUrl>();
  auto endpoint = parse_endpoint_url(*text);
  if (!endpoint) return named(name, endpoint.error());
  return std::optional(std::move(*endpoint));
}

result<std::optional<StaticKeys>> static_keys_of(const Variables& variables) {
  TMPDUMP_TRY(const Secret id, variables.header_secret("AWS_ACCESS_KEY_ID")); // never echoed either
  TMPDUMP_TRY(Secret secret, variables.header_secret("AWS_SECRET_ACCESS_KEY"));
  TMPDUMP_TRY(Secret token, variables.header_secret("AWS_SESSION_TOKEN"));
  if (id.empty() && secret.empty()) return std::optional<StaticKeys>();
  if (id.empty() || secret.empty())
    return Failure{Errc::usage, secret.empty()
                                    ? "AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not"
                                    : "AWS_SECRET_ACCESS_KEY is set, but AWS_ACCESS_KEY_ID is not"};
  return std::optional(StaticKeys{std::string(id.reveal()), std::move(secret), std::move(token)});
}

result<std::optional<unsigned>> connections_of(const Variables& variables, const Overrides& overrides) {
  if (!overrides.connections) return variables.whole_number("TMPDUMP_CONNECTIONS", 1, max_connections);
  if (*overrides.connections < 1 || *overrides.connections > max_connections)
    return bad_value("--connections", std::to_string(*overrides.connections),
                     "expected a whole number from 1 to 64");
  return std::optional(static_cast<unsigned>(*overrides.connections));
}

result<std::string> runtime_api_of(const Variables& variables) {
  constexpr std::string_view name = "AWS_LAMBDA_RUNTIME_API";
  auto value = variables.text(name);
  if (!value) return std::string();
  if (!parse_endpoint_url("http://" + *value)) return bad_value(name, *value, "expected HOST:PORT");
  return std::move(*value);
}

result<void> read_modes(const Variables& variables, Options& out) {
  TMPDUMP_TRY(out.on_missing,
              variables.one_of<OnMissing>("TMPDUMP_ON_MISSING",
                                          {{"continue", OnMissing::proceed}, {"fail", OnMissing::fail}},
                                          out.on_missing));
  TMPDUMP_TRY(out.hold_init,
              variables.one_of<bool>("TMPDUMP_HOLD_INIT", {{"1", true}, {"0", false}}, out.hold_init));
  TMPDUMP_TRY(out.wait, variables.one_of<WaitMode>(
                            "TMPDUMP_WAIT",
                            {{"lazy", WaitMode::lazy}, {"eager", WaitMode::eager}, {"none", WaitMode::none}},
                            out.wait));
  TMPDUMP_TRY(out.cpu, variables.one_of<CpuChoice>("TMPDUMP_CPU",
                                                   {{"auto", CpuChoice::automatic},
                                                    {"x86-64", CpuChoice::baseline},
                                                    {"x86-64-v2", CpuChoice::v2},
                                                    {"x86-64-v3", CpuChoice::v3},
                                                    {"x86-64-v4", CpuChoice::v4}},
                                                   out.cpu));
  TMPDUMP_TRY(out.log, variables.one_of<LogLevel>("TMPDUMP_LOG",
                                                  {{"error", LogLevel::error},
                                                   {"warn", LogLevel::warn},
                                                   {"info", LogLevel::info},
                                                   {"debug", LogLevel::debug}},
                                                  out.log));
  TMPDUMP_TRY(out.metrics_emf,
              variables.one_of<bool>("TMPDUMP_METRICS", {{"emf", true}, {"none", false}}, out.metrics_emf));
  TMPDUMP_TRY(out.dualstack, variables.boolean("AWS_USE_DUALSTACK_ENDPOINT"));
  TMPDUMP_TRY(out.fips, variables.boolean("AWS_USE_FIPS_ENDPOINT"));
  return {};
}

// The command line's word, else the variable's, else what `out` holds.
result<void> read_path(const Variables& variables, std::string_view variable,
                       const std::optional<std::string>& override_value, std::string_view option,
                       std::string& out) {
  if (override_value && override_value->empty()) return bad_value(option, "", "expected a path");
  if (override_value) {
    out = *override_value;
  } else if (auto value = variables.text(variable)) {
    out = std::move(*value);
  }
  return {};
}

} // namespace

Environment process_environment() {
  return [](std::string_view name) -> std::optional<std::string> {
    const char* const value = std::getenv(std::string(name).c_str());
    if (value == nullptr) return {};
    return value;
  };
}

void wipe_environment() {
  for (const char* name :
       {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "TMPDUMP_URI"}) {
    char* const value = std::getenv(name); // NOLINT(concurrency-mt-unsafe)
    if (value != nullptr) ::explicit_bzero(value, std::strlen(value));
  }
}

void Options::forget_secrets() {
  static_keys.reset();
  container_endpoint.reset();
  if (auto* http = std::get_if<HttpUri>(&source)) http->query = Secret();
}

result<Options> parse_options(const Environment& environment, const Overrides& overrides) {
  const Variables variables(environment);
  Options out;
  out.function_name = variables.text("AWS_LAMBDA_FUNCTION_NAME").value_or("");
  TMPDUMP_TRY(out.source, source_of(variables, overrides, out.function_name));
  TMPDUMP_CHECK(read_path(variables, "TMPDUMP_DEST", overrides.destination, "--dest", out.destination));
  TMPDUMP_CHECK(read_path(variables, "TMPDUMP_TRACE", overrides.trace_file, "--trace", out.trace_file));
  TMPDUMP_CHECK(read_path(variables, "AWS_CA_BUNDLE", overrides.ca_bundle, "--ca-bundle", out.ca_bundle));
  TMPDUMP_TRY(out.connections, connections_of(variables, overrides));
  TMPDUMP_CHECK(read_modes(variables, out));
  TMPDUMP_TRY(out.region, region_of(variables, overrides));
  TMPDUMP_TRY(out.endpoint, endpoint_of(variables, overrides));
  TMPDUMP_TRY(out.static_keys, static_keys_of(variables));
  TMPDUMP_TRY(out.container_endpoint, container_endpoint(environment));
  TMPDUMP_TRY(out.runtime_api, runtime_api_of(variables));
  // The emulator tells only the runtime how it starts; in Lambda nobody else gets keys from an endpoint.
  out.snap_start = variables.text("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start" ||
                   (!out.runtime_api.empty() && out.container_endpoint);
  // The snapshot is taken when INIT is over: what came later would be fetched again by every copy of it, over
  // connections that died with the original.
  if (out.snap_start) out.hold_init = true;
  out.no_sign_request = overrides.no_sign_request;
  out.max_size = overrides.max_size;
  if (overrides.max_entries) out.max_entries = *overrides.max_entries;
  if (out.max_entries == 0) return bad_value("--max-entries", "0", "expected a whole number from 1");
  return out;
}

CpuLevel cpu_level(const Options& options, std::optional<CpuLevel> detected) {
  if (!detected) return CpuLevel::baseline;
  switch (options.cpu) {
  case CpuChoice::baseline:
    return CpuLevel::baseline;
  case CpuChoice::v2:
    return CpuLevel::v2;
  case CpuChoice::v3:
    return CpuLevel::v3;
  case CpuChoice::v4:
    return CpuLevel::v4;
  case CpuChoice::automatic:
    break;
  }
  return options.snap_start ? std::min(*detected, CpuLevel::v3) : *detected;
}

} // namespace tmpdump::config
