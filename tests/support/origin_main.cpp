// SPDX-License-Identifier: Apache-2.0
// tmpdump-origin: serves a folder as S3, read-only, optionally over a link as slow as asked for. Without a
// folder it keeps what is uploaded in memory.
#include "support/fake_s3.h"
#include "support/fault_draws.h"

#include <CLI/CLI.hpp>

#include <csignal>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <optional>

namespace {

using tmpdump::test::FakeS3;
using tmpdump::test::FakeS3Options;

constexpr std::uint64_t bytes_per_megabit = 125'000;

struct Arguments {
  FakeS3Options server;
  std::optional<std::uint64_t> faults;
  std::string bucket, access_key, secret_key, session_token, ca_file;
  std::uint64_t first_byte_ms = 0, slow_first_byte_ms = 0;
  std::uint64_t connection_mbps = 0, total_mbps = 0, burst_mbps = 0, burst_mb = 0;
};

void describe(CLI::App& app, Arguments& a) {
  app.add_option("--port", a.server.port, "TCP port; 0 takes a free one")->capture_default_str();
  app.add_option("--address", a.server.address, "Address to listen on")->capture_default_str();
  auto* root = app.add_option("--root", a.server.root,
                              "Serves ROOT/BUCKET/KEY read-only; without it uploads are kept "
                              "in memory")
                   ->check(CLI::ExistingDirectory);
  app.add_option("--bucket", a.bucket, "Fails unless ROOT holds this bucket")->needs(root);
  app.add_option("--region", a.server.region, "Region that signatures must name")->capture_default_str();
  auto* access = app.add_option("--access-key", a.access_key, "Demands signatures made with this key");
  auto* secret = app.add_option("--secret-key", a.secret_key, "and this secret");
  access->needs(secret);
  secret->needs(access);
  app.add_option("--session-token", a.session_token, "and this token")->needs(access);
  app.add_option("--threads", a.server.threads, "Threads that serve")
      ->capture_default_str()
      ->check(CLI::Range(1, 64));
  app.add_flag("--tls", a.server.tls, "Speaks TLS, with a certificate of its own making");
  app.add_option("--ca-file", a.ca_file, "Writes the certificate's authority there (PEM)");
  app.add_option_function<std::uint64_t>(
      "--faults", [&a](std::uint64_t seed) { a.faults = seed; },
      "Breaks by the schedule that is drawn from this seed");
  app.add_flag("--verbose", a.server.verbose, "One line a request on stderr");
  const char* shape = "Shaping (Mbit/s; 0: no limit)";
  app.add_option("--first-byte-ms", a.first_byte_ms, "Each answer waits this long")->group(shape);
  app.add_option("--slow-first-byte-ms", a.slow_first_byte_ms, "Every --slow-every-th waits so long instead")
      ->group(shape);
  app.add_option("--slow-every", a.server.shape.slow_every, "50 makes 2 % of the answers slow")->group(shape);
  app.add_option("--connection-mbps", a.connection_mbps, "Rate of one connection")->group(shape);
  app.add_option("--total-mbps", a.total_mbps, "Rate of all connections together")->group(shape);
  app.add_option("--burst-mb", a.burst_mb, "So many megabytes flow at --burst-mbps before --total-mbps")
      ->group(shape);
  app.add_option("--burst-mbps", a.burst_mbps, "Rate of the burst")->group(shape);
}

FakeS3Options finished(Arguments a) {
  if (!a.access_key.empty())
    a.server.credentials.push_back(
        {.access_key = a.access_key, .secret_key = a.secret_key, .session_token = a.session_token});
  a.server.keep_log = false; // it would grow without end
  a.server.shape.first_byte = std::chrono::milliseconds(a.first_byte_ms);
  a.server.shape.slow_first_byte = std::chrono::milliseconds(a.slow_first_byte_ms);
  a.server.shape.connection_bytes_per_second = a.connection_mbps * bytes_per_megabit;
  a.server.shape.total_bytes_per_second = a.total_mbps * bytes_per_megabit;
  a.server.shape.burst_bytes = a.burst_mb * 1'000'000;
  a.server.shape.burst_bytes_per_second = a.burst_mbps * bytes_per_megabit;
  return a.server;
}

void serve(const Arguments& arguments) {
  namespace fs = std::filesystem;
  if (!arguments.bucket.empty() && !fs::is_directory(fs::path(arguments.server.root) / arguments.bucket))
    throw std::runtime_error("--bucket: '" + arguments.server.root + "' holds no folder '" +
                             arguments.bucket + "'");
  // Blocked before the first thread starts, so that sigwait below is the one place where they arrive.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  FakeS3 server(finished(arguments));
  if (arguments.faults) {
    tmpdump::test::Dice dice(*arguments.faults);
    std::cout << "faults: " << break_by_chance(dice, server).told << std::endl;
  }
  if (!arguments.ca_file.empty()) {
    std::ofstream file(arguments.ca_file);
    file << server.ca_pem();
    if (!file.flush()) throw std::runtime_error("cannot write '" + arguments.ca_file + "'");
  }
  std::cout << "listening " << server.url() << std::endl;
  int signal = 0;
  sigwait(&signals, &signal);
}

} // namespace

int main(int argc, char** argv) {
  CLI::App app("Serves a folder as S3, for demos and benchmarks", "tmpdump-origin");
  Arguments arguments;

  describe(app, arguments);
  app.set_version_flag("--version", TMPDUMP_VERSION);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) { // --help, --version
    return app.exit(asked);
  } catch (const CLI::ParseError& error) {
    std::cerr << "tmpdump-origin: " << error.what() << " (see --help)\n";
    return 2;
  }
  try {
    serve(arguments);
  } catch (const std::exception& error) {
    std::cerr << "tmpdump-origin: " << error.what() << '\n';
    return 1;
  }
  return 0;
}
