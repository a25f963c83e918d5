// SPDX-License-Identifier: Apache-2.0
#include "pack/pack_command.h"

#include "cli/progress_bar.h"
#include "cli/report.h"
#include "pack/from_log.h"
#include "pack/libraries.h"
#include "pack/profile.h"
#include "pack/report.h"
#include "pack/strip.h"
#include "pack/text_file.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <unistd.h>

namespace tmpdump::pack {

namespace {

result<PackSettings> settings_of(const PackArguments& arguments) {
  PackSettings settings;
  settings.method = arguments.deflate ? zip::Method::deflate : zip::Method::zstd;
  // libdeflate 6 is zlib's default effort, a little smaller.
  settings.level =
      arguments.level.value_or(arguments.deflate ? (arguments.fast ? 6 : 12) : (arguments.fast ? 9 : 19));
  const int highest = arguments.deflate ? 12 : 22;
  if (settings.level < 1 || settings.level > highest) {
    return Failure{Errc::usage, "--level " + std::to_string(settings.level) + ": expected 1 to " +
                                    std::to_string(highest) + " for " +
                                    (arguments.deflate ? "deflate" : "zstd")};
  }
  settings.threads = arguments.threads;
  settings.segment_bytes = arguments.segment_bytes.value_or(0);
  return settings;
}

result<std::vector<Variant>> variants_of(const std::vector<std::string>& texts) {
  std::vector<Variant> variants;
  for (const std::string& text : texts) {
    const std::size_t sign = text.find('=');
    if (sign == std::string::npos)
      return Failure{Errc::usage, "--variant " + quote(text) + ": expected LEVEL=DIR_OR_JAR"};
    variants.push_back({text.substr(0, sign), text.substr(sign + 1)});
  }
  return variants;
}

// One run, from the arguments to the file.
class PackRun {
public:
  explicit PackRun(const PackArguments& arguments) : arguments_(arguments) {}
  result<void> run();

private:
  result<void> collect_sources();
  result<void> order_entries();
  result<Packing> write(const PackSettings& settings, OutputFile& out);

  const PackArguments& arguments_;
  const std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  Interrupt interrupt_;
  Workspace workspace_;
  Collected collected_;
  Libraries libraries_;
  std::optional<DebugLog> log_;
};

result<void> PackRun::collect_sources() {
  SourceOptions sources = arguments_.sources;
  TMPDUMP_TRY(sources.variants, variants_of(arguments_.variants));
  if (arguments_.log) {
    TMPDUMP_TRY(const std::string text, read_text_file(*arguments_.log));
    log_ = parse_debug_log(text);
    if (log_->libraries.empty()) {
      return Failure{Errc::usage, quote(*arguments_.log) +
                                      " shows no library that JavaCPP loads; run the application with "
                                      "-Dorg.bytedeco.javacpp.logger.debug=true and keep what it prints"};
    }
    if (sources.sources.empty() && sources.class_path.empty()) {
      if (!log_->nested_jars.empty()) {
        return Failure{Errc::usage, quote(log_->nested_jars.front()) +
                                        ", which the log names, is a jar inside of a jar: unpack the outer "
                                        "one and name those that were in it, as BOOT-INF/lib/*.jar"};
      }
      sources.sources = sources_of(*log_);
    }
  }
  if (sources.sources.empty() && sources.class_path.empty() && sources.variants.empty()) {
    return Failure{Errc::usage, "nothing to pack: name directories, files or jars, or give --class-path"};
  }
  TMPDUMP_TRY(collected_, collect(sources, arguments_.output, workspace_, interrupt_));
  TMPDUMP_TRY(libraries_, read_libraries(collected_));
  std::map<std::string, std::string> renamed;
  if (log_) renamed = keep_loaded(collected_, libraries_, *log_);
  TMPDUMP_CHECK(store_once(collected_, libraries_));
  add_version_links(collected_, libraries_, renamed);
  if (collected_.items.empty()) return Failure{Errc::usage, "nothing to pack: every file is left out"};
  return {};
}

result<void> PackRun::order_entries() {
  if (!arguments_.profile && !log_) return {};
  std::vector<std::string> profile;
  if (arguments_.profile) {
    TMPDUMP_TRY(profile, read_profile(*arguments_.profile));
  } else {
    profile = load_order(collected_.items, libraries_, *log_);
  }
  std::vector<std::string> paths;
  for (const Item& item : collected_.items)
    paths.push_back(item.path);
  const Order order = order_by(profile, paths);
  std::vector<Item> ordered;
  for (const std::size_t at : order.positions)
    ordered.push_back(std::move(collected_.items[at]));
  collected_.items = std::move(ordered);
  for (const std::string& path : order.unknown)
    collected_.notes.push_back("the profile names " + quote(path) + ", which is not packed");
  return {};
}

result<Packing> PackRun::write(const PackSettings& settings, OutputFile& out) {
  prefetch::Progress progress;
  cli::ProgressBar bar(stderr, progress);
  const bool shown = !arguments_.quiet && ::isatty(STDERR_FILENO) == 1;
  auto next = std::chrono::steady_clock::now();
  auto packing = write_archive(collected_.items, settings, out, progress, [&]() -> result<void> {
    TMPDUMP_CHECK(interrupt_.check());
    const auto now = std::chrono::steady_clock::now();
    if (!shown || now < next) return {};
    next = now + bar.interval();
    bar.tick();
    return {};
  });
  bar.clear();
  return packing;
}

result<void> PackRun::run() {
  TMPDUMP_TRY(const PackSettings settings, settings_of(arguments_));
  TMPDUMP_CHECK(collect_sources());
  if (arguments_.strip) TMPDUMP_CHECK(strip_debug(collected_.items, libraries_, workspace_, interrupt_));
  TMPDUMP_CHECK(order_entries());
  TMPDUMP_TRY(OutputFile out, OutputFile::create(arguments_.output));
  TMPDUMP_TRY(const Packing packing, write(settings, out));
  TMPDUMP_CHECK(out.publish());
  PackReport report;
  report.archive = arguments_.output;
  report.archive_size = out.size();
  report.method = (arguments_.deflate ? "deflate " : "zstd ") + std::to_string(settings.level);
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count();
  report.items = &collected_.items;
  report.packing = &packing;
  report.left_out = std::move(collected_.left_out);
  report.missing = find_missing(collected_.items, libraries_);
  report.notes = std::move(collected_.notes);
  if (log_) report.loaded_by = libraries_by_class(*log_);
  const std::string text = arguments_.quiet ? render(report.missing) : render(report);
  (void)std::fputs(text.c_str(), arguments_.quiet ? stderr : stdout);
  return {};
}

} // namespace

int run_pack(const PackArguments& arguments) {
  const auto done = PackRun(arguments).run();
  return done.has_value() ? 0 : cli::report(done.error());
}

} // namespace tmpdump::pack
