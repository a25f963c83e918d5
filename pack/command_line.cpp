// SPDX-License-Identifier: Apache-2.0
#include "pack/command_line.h"

#include "cli/size.h"
#include "pack/ls.h"
#include "pack/pack_command.h"
#include "pack/refine.h"
#include "pack/strip_jar.h"
#include "pack/verify.h"

#include <CLI/CLI.hpp>

#include <memory>

namespace tmpdump::pack {

namespace {

template <class T>
CLI::Option* add(CLI::App& app, const std::string& names, std::optional<T>& member, const std::string& help) {
  return app.add_option_function<T>(
      names, [&member](const T& value) { member = value; }, help);
}

CLI::Option* add_globs(CLI::App& app, const std::string& names, cli::Globs& globs, const std::string& help) {
  return app.add_option(names, globs, help)->type_name("GLOB")->allow_extra_args(false);
}

void add_pack(CLI::App& app, std::function<int()>& chosen) {
  auto* const pack =
      app.add_subcommand("pack", "Make a tmpdump of directories, files, and jars' native libraries");
  const auto arguments = std::make_shared<PackArguments>();
  auto& a = *arguments;
  pack->add_option(
          "SOURCE", a.sources.sources,
          "A directory (packed below its name), a file (a library goes to lib/), a jar (the natives of "
          "org/bytedeco go to lib/); SOURCE=PLACE puts it elsewhere")
      ->type_name("");
  pack->add_option("-o,--output", a.output, "The archive to write; replaced only when the new one is whole")
      ->type_name("FILE")
      ->required();
  pack->add_option("--class-path", a.sources.class_path,
                   "The natives of the jars of a Java class path: A.jar:B.jar:libs/*")
      ->type_name("PATH");
  pack->add_option("--platform", a.sources.platform, "Which of a jar's natives [linux-x86_64]")
      ->type_name("NAME");
  add(*pack, "--from-log", a.log,
      "Only the libraries that a log of JavaCPP shows (-Dorg.bytedeco.javacpp.logger.debug=true), and what "
      "they "
      "need, in the order of loading; without SOURCE from the jars that it names, or JavaCPP's cache")
      ->type_name("FILE");
  pack->add_option(
          "--variant", a.variants,
          "Builds for newer CPUs, LEVEL=DIR_OR_JAR, e.g. x86-64-v3=avx2/: goes to lib/glibc-hwcaps/LEVEL/")
      ->type_name("LEVEL=SOURCE")
      ->allow_extra_args(false);
  add(*pack, "--profile", a.profile, "Order of the entries by first use: a path a line, '#' begins a comment")
      ->type_name("FILE");
  add_globs(*pack, "-i,--include", a.sources.include,
            "Only paths that match the glob, default excludes among them");
  add_globs(*pack, "-x,--exclude", a.sources.exclude, "Without paths that match the glob (repeatable)");
  pack->add_flag("!--no-default-excludes", a.sources.default_excludes,
                 "Keep static libraries, headers, Python's modules, JavaCPP's .lock");
  pack->add_flag("--strip", a.strip, "Without debug sections (binutils' strip; $STRIP names another)");
  pack->add_flag("--deflate", a.deflate, "For any unzip, and about a quarter larger; else zstd");
  pack->add_flag("--fast", a.fast, "Less effort: zstd 9 instead of 19, deflate 6 instead of 12");
  add(*pack, "--level", a.level, "Effort: zstd 1 to 22, deflate 1 to 12")->type_name("N")->excludes("--fast");
  pack->add_option_function<std::string>(
          "--segment-size",
          [&a](const std::string& text) {
            a.segment_bytes = cli::parse_size(text);
            if (!a.segment_bytes || *a.segment_bytes == 0)
              throw CLI::ValidationError("--segment-size", "'" + text + "' is not a size such as 4M");
          },
          "Cut large files into parts of about this size, which decode in parallel [chosen]")
      ->type_name("SIZE");
  pack->add_option("--threads", a.threads, "Cores to use [all]")->type_name("N")->check(CLI::Range(1, 1024));
  pack->add_flag("-q,--quiet", a.quiet, "Print errors and missing libraries only");
  pack->footer("Reproducible: the same files give the same bytes. A path that SOURCE has, but the archive "
               "should not: see "
               "--exclude.");
  pack->callback([arguments, &chosen] { chosen = [arguments] { return run_pack(*arguments); }; });
}

// Where an archive is, and how it is reached: as for fetch.
void add_source(CLI::App& app, config::Overrides& overrides) {
  add(app, "ARCHIVE", overrides.source, "A local file.zip, s3://BUCKET/KEY, or http(s)://... (presigned)")
      ->type_name("")
      ->required();
  add(app, "--endpoint,--endpoint-url", overrides.endpoint, "S3 endpoint [AWS_ENDPOINT_URL_S3]")
      ->type_name("URL");
  add(app, "--region", overrides.region, "Region of the bucket [AWS_REGION]")->type_name("REGION");
  app.add_flag("--no-sign-request", overrides.no_sign_request, "For public objects: send no signature");
  add(app, "--ca-bundle", overrides.ca_bundle, "PEM file of trusted roots [AWS_CA_BUNDLE]")
      ->type_name("FILE");
}

void add_ls(CLI::App& app, std::function<int()>& chosen) {
  auto* const ls =
      app.add_subcommand("ls", "List an archive: sizes, segments, CPU variants, what needs what");
  const auto arguments = std::make_shared<LsArguments>();
  add_source(*ls, arguments->overrides);
  ls->add_flag("--json", arguments->json, "One JSON object instead of a table");
  ls->callback([arguments, &chosen] { chosen = [arguments] { return run_ls(*arguments); }; });
}

void add_verify(CLI::App& app, std::function<int()>& chosen) {
  auto* const verify =
      app.add_subcommand("verify", "Find everything for which an archive would be refused in the function");
  const auto arguments = std::make_shared<VerifyArguments>();
  add_source(*verify, arguments->overrides);
  verify->add_flag("-q,--quiet", arguments->quiet, "Print findings only");
  verify->footer("Exit status: 0 the archive is good; 4 it is bad, with every finding on stderr.");
  verify->callback([arguments, &chosen] { chosen = [arguments] { return run_verify(*arguments); }; });
}

void add_refine(CLI::App& app, std::function<int()>& chosen) {
  auto* const refine = app.add_subcommand(
      "refine", "Take entries out of an archive, or put others first, without compressing again");
  const auto arguments = std::make_shared<RefineArguments>();
  auto& a = *arguments;
  refine->add_option("ARCHIVE", a.archive, "A local file.zip")->type_name("")->required();
  add(*refine, "-o,--output", a.output, "Write here instead of replacing ARCHIVE")->type_name("FILE");
  add_globs(*refine, "-i,--include", a.include, "Only entries that match the glob (repeatable)");
  add_globs(*refine, "-x,--exclude", a.exclude, "Without entries that match the glob (repeatable)");
  add(*refine, "--profile", a.profile,
      "Order of the entries by first use: a path a line, '#' begins a comment")
      ->type_name("FILE");
  refine->add_flag("-n,--dry-run", a.dry_run, "Say what would change, write nothing");
  refine->add_flag("-q,--quiet", a.quiet, "Print errors only");
  refine->callback([arguments, &chosen] { chosen = [arguments] { return run_refine(*arguments); }; });
}

void add_strip_jar(CLI::App& app, std::function<int()>& chosen) {
  auto* const strip = app.add_subcommand(
      "strip-jar",
      "Take the native libraries of org/bytedeco out of an application's jar, and of the jars in it");
  const auto arguments = std::make_shared<StripJarArguments>();
  auto& a = *arguments;
  strip->add_option("JAR", a.jar, "The jar, or a zip with jars; replaced only when the new one is whole")
      ->type_name("")
      ->required();
  add(*strip, "-o,--output", a.output, "Write here instead of replacing JAR")->type_name("FILE");
  add_globs(*strip, "--what", a.what,
            "What goes (repeatable) [org/bytedeco/*.so, *.so.*, *.a, *.xml, *.h, *.hpp, other platforms' "
            "libraries]");
  strip->add_flag("--drop-signatures", a.drop_signatures,
                  "Make a signed jar an unsigned one: else it is refused");
  strip->add_flag("-q,--quiet", a.quiet, "Print errors and warnings only");
  strip->callback([arguments, &chosen] { chosen = [arguments] { return run_strip_jar(*arguments); }; });
}

} // namespace

void add_commands(CLI::App& app, std::function<int()>& chosen) {
  add_pack(app, chosen);
  add_ls(app, chosen);
  add_verify(app, chosen);
  add_refine(app, chosen);
  add_strip_jar(app, chosen);
}

} // namespace tmpdump::pack
