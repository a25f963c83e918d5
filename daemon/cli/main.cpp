// SPDX-License-Identifier: Apache-2.0
// The program `tmpdump`.
#include "base/process.h"
#include "base/version.h"
#include "cli/fetch_command.h"
#include "cli/profile_command.h"
#include "cli/size.h"
#include "cli/status_command.h"
#include "cli/wait_command.h"
#include "pack/command_line.h"
#include "pack/dependencies.h"
#include "prefetch/dependency_versions.h"

#include <CLI/CLI.hpp>

#include <csignal>
#include <cstdio>
#include <exception>
#include <functional>
#include <string>
#include <unistd.h>

namespace {

using tmpdump::cli::FetchArguments;
using tmpdump::cli::ProfileArguments;
using tmpdump::cli::StatusArguments;
using tmpdump::cli::WaitArguments;

// Options that go into Overrides keep "not given" apart from every value.
template <class T>
CLI::Option* add(CLI::App& app, const std::string& names, std::optional<T>& member, const std::string& help) {
  return app.add_option_function<T>(
      names, [&member](const T& value) { member = value; }, help);
}

void describe_fetch(CLI::App& fetch, FetchArguments& arguments) {
  auto& overrides = arguments.overrides;
  add(fetch, "SOURCE", overrides.source, "s3://BUCKET/KEY, http(s)://... (presigned), or a local file.zip")
      ->type_name("");
  add(fetch, "-d,--dest", overrides.destination, "Directory to unpack into [TMPDUMP_DEST, /tmp]")
      ->type_name("DIR");
  add(fetch, "--endpoint,--endpoint-url", overrides.endpoint, "S3 endpoint [AWS_ENDPOINT_URL_S3]")
      ->type_name("URL");
  add(fetch, "--region", overrides.region, "Region of the bucket [AWS_REGION]")->type_name("REGION");
  add(fetch, "--connections", overrides.connections, "Parallel connections, 1 to 64 [chosen from the size]")
      ->type_name("N");
  fetch.add_flag("--no-sign-request", overrides.no_sign_request, "For public objects: send no signature");
  add(fetch, "--ca-bundle", overrides.ca_bundle, "PEM file of trusted roots [AWS_CA_BUNDLE]")
      ->type_name("FILE");
  fetch.add_option("-i,--include", arguments.include, "Only entries that match the glob (repeatable)")
      ->type_name("GLOB")
      ->allow_extra_args(false);
  fetch.add_option("-x,--exclude", arguments.exclude, "Without entries that match the glob (repeatable)")
      ->type_name("GLOB")
      ->allow_extra_args(false);
  fetch
      .add_option_function<std::string>(
          "--max-size",
          [&overrides](const std::string& text) {
            overrides.max_size = tmpdump::cli::parse_size(text);
            if (!overrides.max_size) {
              throw CLI::ValidationError("--max-size", "'" + text + "' is not a size such as 512M or 2GiB");
            }
          },
          "Refuse archives that unpack to more [free space at the destination]")
      ->type_name("SIZE");
  // For bench/: what a range size costs. Users have no reason to choose one, so the help does not name it.
  fetch
      .add_option_function<std::string>(
          "--range-size",
          [&arguments](const std::string& text) {
            arguments.range_size = tmpdump::cli::parse_size(text);
            if (arguments.range_size.value_or(0) < (64U << 10U)) {
              throw CLI::ValidationError("--range-size", "'" + text + "' is not a size of 64K or more");
            }
          })
      ->group("");
  add(fetch, "--max-entries", overrides.max_entries, "Refuse archives with more entries [200000]")
      ->type_name("N");
  add(fetch, "--trace", overrides.trace_file,
      "Write a trace for Perfetto or chrome://tracing [TMPDUMP_TRACE]")
      ->type_name("FILE");
  fetch.add_flag("-l,--list", arguments.list, "List the archive, fetch nothing else");
  fetch.add_flag("--progress", arguments.progress, "Show progress even with --quiet");
  fetch.add_flag("-q,--quiet", arguments.quiet, "Print errors only");
}

void describe_wait(CLI::App& wait, WaitArguments& arguments) {
  wait.add_option(
          "PATH", arguments.paths,
          "Files of the archive, absolute or relative to the destination; each is waited for with all "
          "that it needs of the archive [everything]")
      ->type_name("");
  add(wait, "-t,--timeout", arguments.timeout,
      "Give up after so many seconds, for all PATHs together; 0 looks and returns at once [no limit]")
      ->type_name("S");
  add(wait, "-d,--dest", arguments.destination, "The daemon's destination [TMPDUMP_DEST, /tmp]")
      ->type_name("DIR");
  wait.footer("Exit status: 0 all is there; 1 failed: the limit passed, the daemon died or gave up; 3 no "
              "daemon, or no\nsuch file in the archive; 4, 5 the daemon gave up: the archive is bad, access "
              "denied (5 also: another\nuser may write the manifest).");
}

void describe_status(CLI::App& status, StatusArguments& arguments) {
  add(status, "-d,--dest", arguments.destination, "The daemon's destination [TMPDUMP_DEST, /tmp]")
      ->type_name("DIR");
  auto* const json = status.add_flag("--json", arguments.json, "One JSON object instead of a table");
  status
      .add_flag("-f,--follow", arguments.follow,
                "Show what happens until all is there (exit status 0) or the daemon gives up or dies (as "
                "wait's); where the output is no terminal, a line for each file")
      ->excludes(json);
  status.footer(
      "Times count from the daemon's start. JSON: state is starting, listed, ready or failed; "
      "*_after_ns are\nintegers, null where it did not happen; failure is null or {code, exit_status, "
      "reason}; counters; entries\nof {path, kind, state, size, mode, published_after_ns, "
      "first_wait_after_ns, needs}.");
}

void describe_profile(CLI::App& profile, ProfileArguments& arguments) {
  add(profile, "-d,--dest", arguments.destination, "The daemon's destination [TMPDUMP_DEST, /tmp]")
      ->type_name("DIR");
  add(profile, "-o,--output", arguments.output,
      "Also write the order, a path a line, for `tmpdump pack --profile`; - writes it alone, to the output")
      ->type_name("FILE");
  profile.add_flag("--json", arguments.json, "One JSON object instead of a table");
  profile.footer(
      "A file is used when a program first asks for it: by loading, opening or looking for it under "
      "TMPDUMP_WAIT=lazy,\nor with libtmpdump. Exit status: 3 no daemon; with --output also when "
      "nobody has asked for a file.");
}

int run(int argc, char** argv) {
  CLI::App app("tmpdump: large native libraries from S3 into a directory, in parallel", "tmpdump");
  app.set_version_flag("--version", [] {
    return std::string("tmpdump ")
        .append(tmpdump::version)
        .append("\n")
        .append(tmpdump::prefetch::dependency_versions())
        .append(", " TMPDUMP_PACK_DEPENDENCIES ", CLI11 " CLI11_VERSION);
  });
  app.require_subcommand(1);
  FetchArguments fetch_arguments;
  auto* const fetch = app.add_subcommand("fetch", "Fetch an archive and unpack it as it arrives");
  describe_fetch(*fetch, fetch_arguments);
  WaitArguments wait_arguments;
  auto* const wait = app.add_subcommand("wait", "Wait until files that a daemon brings are there");
  describe_wait(*wait, wait_arguments);
  StatusArguments status_arguments;
  auto* const status = app.add_subcommand("status", "Show what a daemon has brought, also once it is gone");
  describe_status(*status, status_arguments);
  ProfileArguments profile_arguments;
  auto* const profile =
      app.add_subcommand("profile", "Show in which order files were first used, and which never were");
  describe_profile(*profile, profile_arguments);
  std::function<int()> chosen;
  tmpdump::pack::add_commands(app, chosen);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error); // --help, --version
    (void)std::fprintf(stderr, "tmpdump: error: %s; see --help\n", error.what());
    return 2;
  }
  if (chosen) return chosen();
  if (wait->parsed()) return tmpdump::cli::run_wait(wait_arguments);
  if (profile->parsed()) return tmpdump::cli::run_profile(profile_arguments);
  if (status->parsed()) return tmpdump::cli::run_status(status_arguments);
  return tmpdump::cli::run_fetch(fetch_arguments);
}

} // namespace

int main(int argc, char** argv) {
  tmpdump::explain_bus_errors(STDERR_FILENO,
                              "tmpdump: error: a file that is mapped was truncated by another process\n");
  (void)std::signal(SIGPIPE, SIG_IGN); // a closed connection is an error code, not a death
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    (void)std::fprintf(stderr, "tmpdump: error: %s\n", error.what());
    return 1;
  }
}
