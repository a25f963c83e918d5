// SPDX-License-Identifier: Apache-2.0
#include "config/container_endpoint.h"
#include "config/options.h"
#include "config/uri.h"
#include "support/catch.h"

#include <cstdlib>
#include <map>
#include <vector>

using namespace tmpdump;
using namespace tmpdump::config;

namespace {

using Variables = std::map<std::string, std::string>;

Environment environment_of(const Variables& variables) {
  return [variables](std::string_view name) -> std::optional<std::string> {
    const auto found = variables.find(std::string(name));
    if (found == variables.end()) return {};
    return found->second;
  };
}

// With a source, unless the test names one.
result<Options> parse(Variables variables, const Overrides& overrides = {}) {
  if (!variables.contains("TMPDUMP_URI") && !variables.contains("TMPDUMP_BUCKET") &&
      !variables.contains("HUMANGRAPHICS_BUCKET"))
    variables["TMPDUMP_URI"] = "s3://bucket/key";
  return parse_options(environment_of(variables), overrides);
}

std::string error_of(const Variables& variables, const Overrides& overrides = {}) {
  const auto options = parse(variables, overrides);
  if (options) return "(no error)";
  CHECK(options.error().code == Errc::usage);
  return options.error().message;
}

std::string uri_error(std::string_view text) {
  const auto uri = parse_source_uri(text);
  return uri ? "(no error)" : uri.error().message;
}

std::string source_of(const Variables& variables, const Overrides& overrides = {}) {
  return display(parse(variables, overrides).value().source);
}

bool mentions(const std::string& message, std::string_view text) {
  return message.find(text) != message.npos;
}

} // namespace

TEST_CASE("an s3 key is kept byte for byte") {
  for (const std::string key :
       {"tmpdump/f.zip", "a%20b+c d", "/leading", "a//b/../c", "q?x=1#y", "gr\xc3\xbc\xc3\x9f", "\xff"}) {
    const auto uri = parse_source_uri("s3://my.bucket-1/" + key).value();
    CHECK(std::get<S3Uri>(uri).bucket == "my.bucket-1");
    CHECK(std::get<S3Uri>(uri).key == key);
  }
  CHECK(std::get<S3Uri>(parse_source_uri("S3://Odd_Bucket/k").value()).bucket == "Odd_Bucket");
}

TEST_CASE("an s3 URI that cannot name an object says what is missing") {
  CHECK(uri_error("s3://bucket") == "'s3://bucket': names a bucket but no key: expected s3://BUCKET/KEY");
  CHECK(uri_error("s3://bucket/") == "'s3://bucket/': names a bucket but no key: expected s3://BUCKET/KEY");
  CHECK(uri_error("s3:///key") == "'s3:///key': names no bucket: expected s3://BUCKET/KEY");
  CHECK(uri_error("s3://") == "'s3://': names no bucket: expected s3://BUCKET/KEY");
  CHECK(uri_error("s3:/bucket/key") == "'s3:/bucket/key': expected s3://BUCKET/KEY");
  CHECK(uri_error("s3:/") == "'s3:/': expected s3://BUCKET/KEY");
  const std::string rule = ": a bucket's name has 3 to 63 letters, digits, dots, and hyphens";
  CHECK(uri_error("s3://ab/key") == "'s3://ab/key'" + rule);
  CHECK(uri_error("s3://a@b.c/key") == "'s3://a@b.c/key'" + rule);
  CHECK(uri_error("s3://" + std::string(64, 'b') + "/key") ==
        "'s3://" + std::string(64, 'b') + "/key'" + rule);
  CHECK(parse_source_uri("s3://abc/" + std::string(1024, 'k')).has_value());
  CHECK(mentions(uri_error("s3://abc/" + std::string(1025, 'k')), "longer than S3's 1024 bytes"));
  CHECK(mentions(uri_error("arn:aws:s3:::bucket/key"), "expected s3://BUCKET/KEY"));
}

TEST_CASE("http URLs come apart into what a request needs") {
  const auto get = [](std::string_view text) { return std::get<HttpUri>(parse_source_uri(text).value()); };
  const HttpUri presigned = get("https://b.s3.amazonaws.com/a%20b/c.zip?X-Amz-Signature=0f&x=%2F");
  CHECK(presigned.tls);
  CHECK(presigned.host == "b.s3.amazonaws.com");
  CHECK(presigned.port == 443);
  CHECK(presigned.path == "/a%20b/c.zip");
  CHECK(presigned.query.reveal() == "X-Amz-Signature=0f&x=%2F");
  const HttpUri loopback = get("HTTP://[::1]:9000");
  CHECK_FALSE(loopback.tls);
  CHECK(loopback.host == "::1");
  CHECK(loopback.port == 9000);
  CHECK(loopback.path == "/");
  CHECK(loopback.query.empty());
  CHECK(get("http://127.0.0.1/f.zip").port == 80);
  CHECK(get("http://host:/f.zip").port == 80);
}

TEST_CASE("what a person reads of a presigned URL is no credential") {
  const auto uri = parse_source_uri("https://minio.example:9000/b/k.zip?X-Amz-Signature=SECRET").value();
  CHECK(display(uri) == "https://minio.example:9000/b/k.zip");
  CHECK(display(parse_source_uri("http://[::1]/k?SECRET").value()) == "http://[::1]/k");
  CHECK(display(parse_source_uri("s3://bucket/a\nb").value()) == "s3://bucket/a\\x0ab");
  CHECK(display(parse_source_uri("/tmp/a.zip").value()) == "/tmp/a.zip");
  for (const char* const text : {
           "https://user:SECRET@host/f.zip",
           "https://user:SE/CR?ET@host/f.zip?SECRET",
           "https://host:99999/f.zip?SECRET",
           "https://host/a b?SECRET",
           "https://host/f.zip#SECRET",
           "https://ho%20st/?SECRET",
           "https:///f.zip?SECRET",
           "https:/host/f.zip?SECRET",
           "ftp://user:SECRET@host/f.zip",
           " https://host/f.zip?SECRET",
           "'https://host/f.zip?SECRET'",
           "user:SECRET@https://host/f.zip?SECRET",
       }) {
    INFO(text);
    const std::string message = uri_error(text);
    CHECK(message != "(no error)");
    CHECK_FALSE(mentions(message, "SECRET"));
    CHECK_FALSE(mentions(message, "ET@"));
  }
}

TEST_CASE("URLs with a second meaning are refused") {
  CHECK(mentions(uri_error("http://a:b@host/"), "user names and passwords"));
  CHECK(mentions(uri_error("http://host/a#b"), "written %23"));
  CHECK(mentions(uri_error("http://host/a b"), "written %20"));
  CHECK(mentions(uri_error("http://host:0/"), "port from 1 to 65535"));
  CHECK(mentions(uri_error("http://host:65536/"), "port from 1 to 65535"));
  CHECK(mentions(uri_error("http://host:65616/"), "port from 1 to 65535"));
  for (const char* const text : {"http://host:x/", "http://host:8x/", "http://[::1]x/", "http://a:b:c/"})
    CHECK(mentions(uri_error(text), "expected digits"));
  CHECK(uri_error("ftp://user:pass@host/p?q") ==
        "'ftp://...@host/p': expected s3://BUCKET/KEY, http://, https://, file://, or a path");
  CHECK(mentions(uri_error("http:///x"), "host"));
  CHECK(mentions(uri_error("http://ho%73t/"), "host"));
  CHECK(mentions(uri_error("http://" + std::string(254, 'h') + "/"), "host"));
  CHECK(mentions(uri_error("http://host/" + std::string(20'000, 'p')), "longer than 16384"));
  CHECK(mentions(uri_error("http://host/\r\nX: y"), "valid URL"));
  CHECK(mentions(uri_error("ftp://host/f.zip"),
                 "expected s3://BUCKET/KEY, http://, https://, file://, or a path"));
  CHECK(mentions(uri_error(""), "expected"));
  CHECK(mentions(uri_error(std::string_view("/tmp/a\0b", 8)), "NUL"));
}

TEST_CASE("files are paths, or file URLs that are decoded") {
  const auto path = [](std::string_view text) {
    return std::get<FileUri>(parse_source_uri(text).value()).path;
  };
  CHECK(path("a b%20c.zip") == "a b%20c.zip");
  CHECK(path("/tmp/x.zip") == "/tmp/x.zip");
  CHECK(path("./weird:/x.zip") == "./weird:/x.zip");
  CHECK(path("file:///tmp/a%20b.zip") == "/tmp/a b.zip");
  CHECK(path("file:/tmp/a.zip") == "/tmp/a.zip");
  CHECK(path("file://localhost/tmp/a.zip") == "/tmp/a.zip");
  CHECK(mentions(uri_error("file://server/share"), "names a host"));
  CHECK(mentions(uri_error("file:///a%00b"), "NUL"));
  CHECK(mentions(uri_error("file:///a?b"), "not a valid file:///PATH"));
}

TEST_CASE("no prefix of a URL crashes the parser or is taken for a path") {
  const std::string whole = "https://[fd00:ec2::23]:8443/a%20b/c.zip?X-Amz-Signature=0f#f";
  for (std::size_t length = 0; length <= whole.size(); ++length) {
    const auto uri = parse_source_uri(whole.substr(0, length));
    if (length > 7 && uri) CHECK(std::holds_alternative<HttpUri>(*uri));
  }
  for (std::size_t at = 0; at < whole.size(); ++at)
    for (int byte = 0; byte < 256; ++byte) {
      std::string mutated = whole;
      mutated[at] = static_cast<char>(byte);
      const auto uri = parse_source_uri(mutated);
      if (uri && std::holds_alternative<HttpUri>(*uri))
        CHECK(std::get<HttpUri>(*uri).host.find_first_of("@/\\ \r\n") == std::string::npos);
    }
}

TEST_CASE("an endpoint is scheme, host, and port alone") {
  const auto minio = parse_endpoint_url("http://127.0.0.1:9000/").value();
  CHECK_FALSE(minio.tls);
  CHECK(minio.host == "127.0.0.1");
  CHECK(minio.port == 9000);
  CHECK(parse_endpoint_url("https://minio.example").value().port == 443);
  for (const char* const text :
       {"https://minio.example/path", "https://minio.example?x", "https://minio.example/?",
        "minio.example:9000", "s3://bucket/key", "/tmp", ""})
    CHECK(parse_endpoint_url(text).has_error());
}

TEST_CASE("an empty environment asks for a source") {
  CHECK(mentions(parse_options(environment_of({})).error().message, "set TMPDUMP_URI=s3://BUCKET/KEY"));
}

TEST_CASE("defaults, and an empty value counts as unset") {
  for (const Variables& variables : {Variables{}, Variables{{"TMPDUMP_DEST", ""},
                                                            {"TMPDUMP_CONNECTIONS", ""},
                                                            {"TMPDUMP_WAIT", ""},
                                                            {"AWS_REGION", ""},
                                                            {"AWS_USE_FIPS_ENDPOINT", ""},
                                                            {"AWS_ENDPOINT_URL", ""},
                                                            {"AWS_ACCESS_KEY_ID", ""}}}) {
    const Options options = parse(variables).value();
    CHECK(options.destination == "/tmp");
    CHECK_FALSE(options.connections);
    CHECK(options.on_missing == OnMissing::proceed);
    CHECK(options.hold_init);
    CHECK(options.wait == WaitMode::lazy);
    CHECK(options.cpu == CpuChoice::automatic);
    CHECK(options.log == LogLevel::info);
    CHECK(options.trace_file.empty());
    CHECK_FALSE(options.metrics_emf);
    CHECK(options.region.empty());
    CHECK_FALSE(options.endpoint);
    CHECK_FALSE((options.dualstack || options.fips || options.no_sign_request));
    CHECK_FALSE(options.static_keys);
    CHECK_FALSE(options.container_endpoint);
    CHECK(options.max_entries == 200'000);
  }
}

TEST_CASE("every variable is read") {
  const Options options = parse({{"TMPDUMP_DEST", "/mnt/x"},
                                 {"TMPDUMP_CONNECTIONS", "64"},
                                 {"TMPDUMP_ON_MISSING", "fail"},
                                 {"TMPDUMP_HOLD_INIT", "0"},
                                 {"TMPDUMP_WAIT", "eager"},
                                 {"TMPDUMP_CPU", "x86-64-v3"},
                                 {"TMPDUMP_LOG", "debug"},
                                 {"TMPDUMP_TRACE", "/tmp/t.json"},
                                 {"TMPDUMP_METRICS", "emf"},
                                 {"AWS_CA_BUNDLE", "/ca.pem"},
                                 {"AWS_USE_DUALSTACK_ENDPOINT", "True"},
                                 {"AWS_USE_FIPS_ENDPOINT", "1"},
                                 {"AWS_LAMBDA_FUNCTION_NAME", "f"},
                                 {"AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001"}})
                              .value();
  CHECK(options.destination == "/mnt/x");
  CHECK(options.connections == 64U);
  CHECK(options.on_missing == OnMissing::fail);
  CHECK_FALSE(options.hold_init);
  CHECK(options.wait == WaitMode::eager);
  CHECK(options.cpu == CpuChoice::v3);
  CHECK(options.log == LogLevel::debug);
  CHECK(options.trace_file == "/tmp/t.json");
  CHECK(options.metrics_emf);
  CHECK(options.ca_bundle == "/ca.pem");
  CHECK(options.dualstack);
  CHECK(options.fips);
  CHECK(options.function_name == "f");
  CHECK(options.runtime_api == "127.0.0.1:9001");
}

TEST_CASE("the source: the command line, TMPDUMP_URI, TMPDUMP_BUCKET, then the original layer's bucket") {
  Variables variables{{"AWS_LAMBDA_FUNCTION_NAME", "fn"}, {"HUMANGRAPHICS_BUCKET", "old"}};
  CHECK(source_of(variables) == "s3://old/tmpdump/fn.zip");
  variables["TMPDUMP_BUCKET"] = "new";
  CHECK(source_of(variables) == "s3://new/tmpdump/fn.zip");
  variables["TMPDUMP_URI"] = "s3://uri/k";
  CHECK(source_of(variables) == "s3://uri/k");
  Overrides overrides;
  overrides.source = "/tmp/local.zip";
  CHECK(source_of(variables, overrides) == "/tmp/local.zip");
}

TEST_CASE("a bad source names the variable that holds it") {
  CHECK(error_of({{"TMPDUMP_URI", "s3://bucket"}}) ==
        "TMPDUMP_URI='s3://bucket': names a bucket but no key: expected s3://BUCKET/KEY");
  CHECK(mentions(error_of({{"TMPDUMP_BUCKET", "s3://b"}, {"AWS_LAMBDA_FUNCTION_NAME", "f"}}),
                 "TMPDUMP_BUCKET='s3://b': a bucket's name"));
  CHECK(mentions(error_of({{"HUMANGRAPHICS_BUCKET", "x"}, {"AWS_LAMBDA_FUNCTION_NAME", "f"}}),
                 "HUMANGRAPHICS_BUCKET='x'"));
  CHECK(error_of({{"TMPDUMP_BUCKET", "bucket"}}) ==
        "TMPDUMP_BUCKET is set, but AWS_LAMBDA_FUNCTION_NAME is not: set TMPDUMP_URI=s3://BUCKET/KEY");
  CHECK_FALSE(mentions(error_of({{"TMPDUMP_URI", "https://h/a b?SECRET"}}), "SECRET"));
}

TEST_CASE("a number is the whole value and in its range") {
  for (const char* const text :
       {"abc", "0", "65", "-1", "+1", " 1", "1 ", "1.0", "0x1", "99999999999999999999", "1e1"})
    CHECK(error_of({{"TMPDUMP_CONNECTIONS", text}}) ==
          "TMPDUMP_CONNECTIONS='" + std::string(text) + "': expected a whole number from 1 to 64");
  CHECK(parse({{"TMPDUMP_CONNECTIONS", "1"}}).value().connections == 1U);
  Overrides overrides;
  for (const std::uint64_t number : {0ULL, 65ULL, ~0ULL}) {
    overrides.connections = number;
    CHECK(error_of({}, overrides) ==
          "--connections='" + std::to_string(number) + "': expected a whole number from 1 to 64");
  }
}

TEST_CASE("a word outside the list is answered with the list") {
  CHECK(error_of({{"TMPDUMP_ON_MISSING", "Fail"}}) == "TMPDUMP_ON_MISSING='Fail': expected continue or fail");
  CHECK(error_of({{"TMPDUMP_HOLD_INIT", "true"}}) == "TMPDUMP_HOLD_INIT='true': expected 1 or 0");
  CHECK(error_of({{"TMPDUMP_WAIT", "x"}}) == "TMPDUMP_WAIT='x': expected lazy or eager or none");
  CHECK(mentions(error_of({{"TMPDUMP_CPU", "avx512"}}),
                 "expected auto or x86-64 or x86-64-v2 or x86-64-v3 or x86-64-v4"));
  CHECK(mentions(error_of({{"TMPDUMP_LOG", "trace\n"}}), "TMPDUMP_LOG='trace\\x0a': expected error or warn"));
  CHECK(mentions(error_of({{"TMPDUMP_METRICS", "yes"}}), "TMPDUMP_METRICS='yes'"));
  CHECK(error_of({{"AWS_USE_FIPS_ENDPOINT", "yes"}}) ==
        "AWS_USE_FIPS_ENDPOINT='yes': expected true or false");
  CHECK(mentions(error_of({{"AWS_LAMBDA_RUNTIME_API", "host:port"}}), "AWS_LAMBDA_RUNTIME_API='host:port'"));
  for (const char* const text : {"false", "FALSE", "0"})
    CHECK_FALSE(parse({{"AWS_USE_DUALSTACK_ENDPOINT", text}}).value().dualstack);
}

TEST_CASE("the region: the command line, AWS_REGION, then AWS_DEFAULT_REGION") {
  Variables variables{{"AWS_DEFAULT_REGION", "us-west-2"}};
  CHECK(parse(variables).value().region == "us-west-2");
  variables["AWS_REGION"] = "eu-west-1";
  CHECK(parse(variables).value().region == "eu-west-1");
  Overrides overrides;
  overrides.region = "ap-south-1";
  CHECK(parse(variables, overrides).value().region == "ap-south-1");
  // The region becomes a part of a host name.
  CHECK(error_of({{"AWS_REGION", "x.evil.example/"}}) ==
        "AWS_REGION='x.evil.example/': expected a region such as eu-central-1");
  overrides.region = "";
  CHECK(mentions(error_of({}, overrides), "--region=''"));
}

TEST_CASE("the endpoint: the command line, AWS_ENDPOINT_URL_S3, then AWS_ENDPOINT_URL, unless told to ignore "
          "them") {
  Variables variables{{"AWS_ENDPOINT_URL", "http://all:1"}};
  CHECK(parse(variables).value().endpoint.value().host == "all");
  variables["AWS_ENDPOINT_URL_S3"] = "http://s3:2";
  CHECK(parse(variables).value().endpoint.value().host == "s3");
  Overrides overrides;
  overrides.endpoint = "http://option:3";
  CHECK(parse(variables, overrides).value().endpoint.value().host == "option");
  variables["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"] = "TRUE";
  CHECK(parse(variables, overrides).value().endpoint.value().host == "option");
  CHECK_FALSE(parse(variables).value().endpoint);
  CHECK(mentions(error_of({{"AWS_ENDPOINT_URL_S3", "http://h/p"}}),
                 "AWS_ENDPOINT_URL_S3='http://h/p': expected an endpoint without path"));
  CHECK_FALSE(mentions(error_of({{"AWS_ENDPOINT_URL", "http://u:SECRET@h"}}), "SECRET"));
  overrides.endpoint = "nonsense";
  CHECK(mentions(error_of({}, overrides), "--endpoint='nonsense': expected a URL"));
}

TEST_CASE("environment keys come in pairs") {
  const Options options =
      parse({{"AWS_ACCESS_KEY_ID", "AKID"}, {"AWS_SECRET_ACCESS_KEY", "s"}, {"AWS_SESSION_TOKEN", "t"}})
          .value();
  REQUIRE(options.static_keys);
  CHECK(options.static_keys->access_key_id == "AKID");
  CHECK(options.static_keys->secret_access_key.reveal() == "s");
  CHECK(options.static_keys->session_token.reveal() == "t");
  CHECK(error_of({{"AWS_ACCESS_KEY_ID", "AKID"}}) ==
        "AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not");
  CHECK(error_of({{"AWS_SECRET_ACCESS_KEY", "s"}}) ==
        "AWS_SECRET_ACCESS_KEY is set, but AWS_ACCESS_KEY_ID is not");
  CHECK_FALSE(parse({{"AWS_SESSION_TOKEN", "t"}}).value().static_keys);
}

TEST_CASE("a secret's value is never echoed") {
  for (const std::string name : {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
                                 "AWS_CONTAINER_AUTHORIZATION_TOKEN"}) {
    Variables variables{{"AWS_ACCESS_KEY_ID", "AKID"},
                        {"AWS_SECRET_ACCESS_KEY", "s"},
                        {"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1/"}};
    variables[name] = "HIDDEN\r\nX-Injected: 1";
    const std::string message = error_of(variables);
    CHECK(message.starts_with(name + ": "));
    CHECK_FALSE(mentions(message, "HIDDEN"));
  }
}

TEST_CASE("hosts that may hear of credentials without TLS") {
  for (const char* const host :
       {"127.0.0.1", "127.255.0.3", "::1", "0:0:0:0:0:0:0:1", "localhost", "LocalHost", "169.254.170.2",
        "169.254.170.23", "fd00:ec2::23", "FD00:0EC2::0023"})
    CHECK(is_trusted_without_tls(host));
  for (const char* const host : {"", "128.0.0.1", "169.254.169.254", "169.254.170.3", "10.0.0.1",
                                 "fd00:ec2::24", "::", "::ffff:127.0.0.1", "localhost.evil.example",
                                 "127.0.0.1.evil.example", "localhos", "0177.0.0.1", "127.1", "2130706433"})
    CHECK_FALSE(is_trusted_without_tls(host));
}

TEST_CASE("the container endpoint") {
  const std::string name = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
  const auto endpoint = parse({{name, "http://127.0.0.1:9001/2021-04-23/credentials?a=b"},
                               {"AWS_CONTAINER_AUTHORIZATION_TOKEN", "token"},
                               {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/run/token"}})
                            .value()
                            .container_endpoint;
  REQUIRE(endpoint);
  CHECK(endpoint->uri.port == 9001);
  CHECK(endpoint->uri.path == "/2021-04-23/credentials");
  CHECK(endpoint->uri.query.reveal() == "a=b");
  CHECK(endpoint->authorization_token.reveal() == "token");
  CHECK(endpoint->authorization_token_file == "/run/token");
  CHECK(parse({{name, "https://vault.example/creds"}}).value().container_endpoint->uri.tls);
  CHECK(error_of({{name, "http://169.254.169.254/x?SECRET"}}) ==
        name + "='http://169.254.169.254/x': expected https, or http to a loopback address, 169.254.170.2, "
               "169.254.170.23, or [fd00:ec2::23]");
  CHECK(mentions(error_of({{name, "/v2/credentials"}}), name + "='/v2/credentials': expected a URL"));
  CHECK(mentions(error_of({{name, "s3://bucket/key"}}), name));
}

TEST_CASE("a relative container URI is a path at ECS's address, and wins") {
  const std::string name = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
  const auto uri =
      parse({{name, "/v2/credentials?id=1"}, {"AWS_CONTAINER_CREDENTIALS_FULL_URI", "https://other/"}})
          .value()
          .container_endpoint.value()
          .uri;
  CHECK_FALSE(uri.tls);
  CHECK(uri.host == "169.254.170.2");
  CHECK(uri.port == 80);
  CHECK(uri.path == "/v2/credentials");
  CHECK(uri.query.reveal() == "id=1");
  for (const char* const path : {".evil.example/", "@evil.example/", ":81/", "v2", "/a b", "/a\r\nb"})
    CHECK(mentions(error_of({{name, path}}), "expected a path such as /v2/credentials"));
}

TEST_CASE("the command line wins over the environment") {
  Overrides overrides;
  overrides.destination = "out";
  overrides.trace_file = "t.json";
  overrides.ca_bundle = "ca.pem";
  overrides.connections = 7;
  overrides.max_size = 5;
  overrides.max_entries = 6;
  overrides.no_sign_request = true;
  const Options options = parse({{"TMPDUMP_DEST", "/x"},
                                 {"TMPDUMP_TRACE", "/y"},
                                 {"AWS_CA_BUNDLE", "/z"},
                                 {"TMPDUMP_CONNECTIONS", "bad"}},
                                overrides)
                              .value();
  CHECK(options.destination == "out");
  CHECK(options.trace_file == "t.json");
  CHECK(options.ca_bundle == "ca.pem");
  CHECK(options.connections == 7U);
  CHECK(options.max_size == 5U);
  CHECK(options.max_entries == 6U);
  CHECK(options.no_sign_request);
  overrides.max_entries = 0;
  CHECK(mentions(error_of({}, overrides), "--max-entries='0'"));
  overrides.max_entries.reset();
  overrides.destination = "";
  CHECK(error_of({}, overrides) == "--dest='': expected a path");
}

TEST_CASE("the process environment is one such environment") {
  REQUIRE(::setenv("TMPDUMP_CONFIG_TEST", "x", 1) == 0);
  CHECK(process_environment()("TMPDUMP_CONFIG_TEST") == "x");
  REQUIRE(::unsetenv("TMPDUMP_CONFIG_TEST") == 0);
  CHECK_FALSE(process_environment()("TMPDUMP_CONFIG_TEST"));
}

TEST_CASE("libraries are chosen for this processor, for the one that TMPDUMP_CPU names, or for any host of a "
          "snapshot") {
  const auto level = [](std::map<std::string, std::string> environment, std::optional<CpuLevel> detected) {
    environment["TMPDUMP_URI"] = "s3://bucket/key";
    return cpu_level(parse(std::move(environment)).value(), detected);
  };
  CHECK(level({}, CpuLevel::v4) == CpuLevel::v4);
  CHECK(level({}, CpuLevel::baseline) == CpuLevel::baseline);
  CHECK(level({{"TMPDUMP_CPU", "x86-64-v2"}}, CpuLevel::v4) == CpuLevel::v2);
  CHECK(level({{"TMPDUMP_CPU", "x86-64"}}, CpuLevel::v4) == CpuLevel::baseline);
  const std::pair<std::string, std::string> snapshot{"AWS_LAMBDA_INITIALIZATION_TYPE", "snap-start"};
  CHECK(level({snapshot}, CpuLevel::v4) == CpuLevel::v3);
  CHECK(level({snapshot}, CpuLevel::v2) == CpuLevel::v2);
  CHECK(level({snapshot, {"TMPDUMP_CPU", "x86-64-v4"}}, CpuLevel::v2) == CpuLevel::v4);
  CHECK(level({{"AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"}}, CpuLevel::v4) == CpuLevel::v4);
  // Graviton
  CHECK(level({}, std::nullopt) == CpuLevel::baseline);
  CHECK(level({{"TMPDUMP_CPU", "x86-64-v3"}}, std::nullopt) == CpuLevel::baseline);
}

TEST_CASE("a snapshot holds all of the archive, whatever TMPDUMP_HOLD_INIT says") {
  const auto holds = [](std::map<std::string, std::string> environment) {
    environment["TMPDUMP_URI"] = "s3://bucket/key";
    return parse(std::move(environment)).value().hold_init;
  };
  CHECK(holds({{"AWS_LAMBDA_INITIALIZATION_TYPE", "snap-start"}, {"TMPDUMP_HOLD_INIT", "0"}}));
  CHECK_FALSE(holds({{"AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"}, {"TMPDUMP_HOLD_INIT", "0"}}));
}
