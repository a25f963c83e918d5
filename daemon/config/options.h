// SPDX-License-Identifier: Apache-2.0
// Every setting of the extension and the command line, read once into one immutable struct.
// Sources: the environment (names in README), overridden by command line options. A bad value is a usage
// error that names the variable or option, the value, and what is accepted.
#pragma once

#include "base/cpu.h"
#include "base/error.h"
#include "base/secret.h"
#include "config/uri.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace tmpdump::config {

enum class OnMissing { proceed, fail };    // TMPDUMP_ON_MISSING=continue|fail
enum class WaitMode { lazy, eager, none }; // TMPDUMP_WAIT
enum class CpuChoice {
  automatic,
  baseline,
  v2,
  v3,
  v4
};                                                // TMPDUMP_CPU=auto|x86-64|x86-64-v2|x86-64-v3|x86-64-v4
enum class LogLevel { error, warn, info, debug }; // TMPDUMP_LOG: each has what those before it have

struct StaticKeys { // AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
  std::string access_key_id;
  Secret secret_access_key;
  Secret session_token; // empty: none
};

// AWS_CONTAINER_CREDENTIALS_FULL_URI with AWS_CONTAINER_AUTHORIZATION_TOKEN or ..._TOKEN_FILE.
struct ContainerEndpoint {
  HttpUri uri;
  Secret authorization_token;           // empty: none
  std::string authorization_token_file; // read anew at each refresh; wins over the variable, as in AWS's SDKs
};

struct Options {
  SourceUri source;
  std::string destination = "/tmp";    // TMPDUMP_DEST, --dest
  std::optional<unsigned> connections; // TMPDUMP_CONNECTIONS, --connections; 1 to 64; none: chosen from size
  OnMissing on_missing = OnMissing::proceed;
  bool hold_init = true; // TMPDUMP_HOLD_INIT; always under SnapStart
  WaitMode wait = WaitMode::lazy;
  CpuChoice cpu = CpuChoice::automatic;
  // AWS_LAMBDA_INITIALIZATION_TYPE=snap-start, or keys from an endpoint, which Lambda gives to no other
  // function.
  bool snap_start = false;
  LogLevel log = LogLevel::info;
  std::string trace_file;   // TMPDUMP_TRACE, --trace; empty: none
  bool metrics_emf = false; // TMPDUMP_METRICS=emf

  std::string region;                  // AWS_REGION, AWS_DEFAULT_REGION, --region; empty: unknown
  std::optional<EndpointUrl> endpoint; // --endpoint, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL
  std::string ca_bundle;               // AWS_CA_BUNDLE; empty: built-in roots, then the system's bundle
  bool dualstack = false;              // AWS_USE_DUALSTACK_ENDPOINT
  bool fips = false;                   // AWS_USE_FIPS_ENDPOINT
  bool no_sign_request = false;        // --no-sign-request
  std::optional<StaticKeys> static_keys;
  std::optional<ContainerEndpoint> container_endpoint;

  std::optional<std::uint64_t> max_size; // --max-size, bytes unpacked; none: free space at the destination
  std::uint64_t max_entries = 200'000;   // --max-entries
  std::string function_name;             // AWS_LAMBDA_FUNCTION_NAME
  std::string runtime_api;               // AWS_LAMBDA_RUNTIME_API, host:port; empty outside Lambda

  void forget_secrets(); // keys, tokens, a presigned query: when nothing is asked for any more
};

// Looks a variable up; nullopt when unset. An empty value counts as unset, as in AWS's SDKs.
using Environment = std::function<std::optional<std::string>(std::string_view)>;
Environment process_environment();
// Overwrites the values that are secret or may hold one: /proc/PID/environ shows that memory. For a process
// that has parsed its options and starts no other. Before any thread exists.
void wipe_environment();

// What the command line says; unset members leave the environment's value. Filled by cli/.
struct Overrides {
  std::optional<std::string> source, destination, endpoint, region, trace_file, ca_bundle;
  std::optional<std::uint64_t> connections, max_size, max_entries;
  bool no_sign_request = false;
};

// Without overrides.source, TMPDUMP_URI, TMPDUMP_BUCKET or HUMANGRAPHICS_BUCKET (with
// AWS_LAMBDA_FUNCTION_NAME) name the source; none of them is a usage error that says which to set.
result<Options> parse_options(const Environment& environment, const Overrides& overrides = {});

// For which processor libraries are chosen: what TMPDUMP_CPU says, else `detected`, but under SnapStart at
// most x86-64-v3, since a snapshot moves between hosts. AWS promises AVX2 for x86_64 functions
// (https://docs.aws.amazon.com/lambda/latest/dg/runtimes-avx2.html). A processor without levels (none
// detected) takes the plain files whatever TMPDUMP_CPU says: the others are not for it.
CpuLevel cpu_level(const Options& options, std::optional<CpuLevel> detected);

} // namespace tmpdump::config
