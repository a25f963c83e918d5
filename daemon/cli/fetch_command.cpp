// SPDX-License-Identifier: Apache-2.0
#include "cli/fetch_command.h"

#include "base/process.h"
#include "base/task_failure.h"
#include "base/version.h"
#include "cli/globs.h"
#include "cli/progress_bar.h"
#include "cli/report.h"
#include "cli/size.h"
#include "credentials/credentials.h"
#include "net/network.h"
#include "net/wakeups.h"
#include "prefetch/prefetch.h"
#include "s3/file_source.h"
#include "s3/http_source.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <exception>

namespace tmpdump::cli {

namespace asio = boost::asio;

namespace {

std::function<bool(const zip::Entry&)> make_filter(const FetchArguments& arguments) {
  if (arguments.include.empty() && arguments.exclude.empty()) return {};
  return [&arguments](const zip::Entry& entry) {
    return wants(arguments.include, arguments.exclude, entry.path);
  };
}

std::string render_list(const zip::Directory& directory,
                        const std::function<bool(const zip::Entry&)>& wanted) {
  std::uint64_t files = 0;
  std::uint64_t size = 0;
  std::uint64_t packed = 0;
  std::string text;
  char columns[96];
  (void)std::snprintf(columns, sizeof columns, "%12s %12s %7s  ", "size", "packed", "method");
  text.append(columns).append("name\n");
  for (const auto& entry : directory.entries) {
    if (wanted && !wanted(entry)) continue;
    const char* method = entry.method == zip::Method::stored    ? "stored"
                         : entry.method == zip::Method::deflate ? "deflate"
                                                                : "zstd";
    const char* mark = entry.kind == zip::Kind::directory ? "/" : entry.kind == zip::Kind::symlink ? "@" : "";
    (void)std::snprintf(columns, sizeof columns, "%12llu %12llu %7s  ",
                        static_cast<unsigned long long>(entry.size),
                        static_cast<unsigned long long>(entry.compressed_size), method);
    text.append(columns).append(printable(entry.path, entry.path.size())).append(mark).append("\n");
    ++files;
    size += entry.size;
    packed += entry.compressed_size;
  }
  (void)std::snprintf(columns, sizeof columns, "%12llu %12llu          %llu entries\n",
                      static_cast<unsigned long long>(size), static_cast<unsigned long long>(packed),
                      static_cast<unsigned long long>(files));
  return text.append(columns);
}

void print_summary(const prefetch::Summary& summary, const std::string& source) {
  const double seconds = std::chrono::duration<double>(summary.ready - summary.started).count();
  const auto rate =
      static_cast<std::uint64_t>(static_cast<double>(summary.received) / std::max(seconds, 1e-6));
  (void)std::printf(
      "%s: %s in %llu files from %s in %.3f s, %s/s, %llu requests, %llu retries, %llu hedges, "
      "peak memory %.1f MiB\n",
      source.c_str(), format_size(summary.unpacked).c_str(),
      static_cast<unsigned long long>(summary.files) + summary.symlinks,
      format_size(summary.received).c_str(), seconds, format_size(rate).c_str(),
      static_cast<unsigned long long>(summary.requests), static_cast<unsigned long long>(summary.retries),
      static_cast<unsigned long long>(summary.hedges), static_cast<double>(peak_memory()) / 1048576.0);
}

// Redraws until cancelled. Owns itself.
void schedule_ticks(const std::shared_ptr<asio::steady_timer>& timer, ProgressBar& bar) {
  timer->expires_after(bar.interval());
  timer->async_wait([timer, &bar](const boost::system::error_code& error) {
    if (error) return;
    bar.tick();
    schedule_ticks(timer, bar);
  });
}

// Everything of one run that lives as long as the io_context's work.
class FetchRun {
public:
  FetchRun(const config::Options& options, const FetchArguments& arguments)
      : options_(options), arguments_(arguments) {}
  int run();

private:
  result<void> open();
  template <class T>
  result<T> run_to_end(asio::awaitable<result<T>> task);
  int list();
  int fetch();

  const config::Options& options_;
  const FetchArguments& arguments_;
  Trace trace_;
  asio::io_context context_{1};
  std::optional<net::Network> network_;
  std::optional<credentials::Provider> credentials_;
  std::unique_ptr<s3::ObjectSource> source_;
  prefetch::Settings settings_;
  prefetch::Progress progress_;
};

result<void> FetchRun::open() {
  if (const auto* file = std::get_if<config::FileUri>(&options_.source)) {
    TMPDUMP_TRY(source_, s3::FileSource::open(file->path));
  } else {
    net::NetworkOptions network;
    network.ca_bundle = options_.ca_bundle;
    network.user_agent = std::string("tmpdump/") + version;
    network_.emplace(context_, network);
    credentials_.emplace(options_, *network_);
    source_ = std::make_unique<s3::HttpSource>(options_, *network_, *credentials_,
                                               options_.trace_file.empty() ? nullptr : &trace_);
  }
  settings_.connections = options_.connections;
  settings_.max_size = options_.max_size;
  settings_.max_entries = options_.max_entries;
  settings_.cpu = config::cpu_level(options_, cpu_level());
  if (arguments_.range_size) settings_.range_size = *arguments_.range_size;
  settings_.wanted = make_filter(arguments_);
  return {};
}

Failure ended_by(const std::exception_ptr& error) {
  Failure failure = failure_of(error);
  if (failure.code == Errc::cancelled) failure.message = "interrupted; what was complete stays";
  return failure;
}

// Runs the loop until the task and all that it started have ended. SIGINT and SIGTERM cancel it.
template <class T>
result<T> FetchRun::run_to_end(asio::awaitable<result<T>> task) {
  std::optional<result<T>> outcome;
  asio::cancellation_signal stop;
  asio::signal_set signals(context_, SIGINT, SIGTERM);
  signals.async_wait([&](const boost::system::error_code& error, int) {
    if (!error) stop.emit(asio::cancellation_type::terminal);
  });
  ProgressBar bar(stderr, progress_);
  const auto timer = std::make_shared<asio::steady_timer>(context_);
  TMPDUMP_CHECK(net::require_wakeups());
  if ((!arguments_.quiet || arguments_.progress) && !arguments_.list) schedule_ticks(timer, bar);
  asio::co_spawn(
      context_, std::move(task),
      asio::bind_cancellation_slot(stop.slot(), [&](const std::exception_ptr& error, result<T> value) {
        outcome.emplace(error ? result<T>(ended_by(error)) : std::move(value));
        timer->cancel();
        signals.cancel();
      }));
  context_.run();
  bar.clear();
  return std::move(*outcome);
}

int FetchRun::list() {
  auto directory = run_to_end(prefetch::list(context_, *source_, settings_));
  if (!directory) return report(directory.error());
  const std::string text = render_list(*directory, settings_.wanted);
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    return report(system_failure("write the list", errno));
  }
  return 0;
}

int FetchRun::fetch() {
  auto destination = output::Destination::open(options_.destination);
  if (!destination) return report(destination.error());
  Trace* const trace = options_.trace_file.empty() ? nullptr : &trace_;
  prefetch::Observer observer;
  if (trace != nullptr) {
    observer.published = [trace](const zip::Entry& entry) -> result<void> {
      trace->instant("files", 0, printable(entry.path), Trace::Clock::now(),
                     {{"bytes", std::to_string(entry.size)}});
      return {};
    };
  }
  const auto summary =
      run_to_end(prefetch::prefetch(context_, *source_, *destination, settings_, observer, progress_, trace));
  destination->clean_up();
  const auto written = trace != nullptr ? trace->write(options_.trace_file) : result<void>{};
  if (!summary) return report(summary.error());
  if (!written) return report(written.error());
  if (!arguments_.quiet) print_summary(*summary, source_->display());
  return 0;
}

int FetchRun::run() {
  if (auto opened = open(); !opened) return report(opened.error());
  return arguments_.list ? list() : fetch();
}

} // namespace

int run_fetch(const FetchArguments& arguments) {
  const auto options = config::parse_options(config::process_environment(), arguments.overrides);
  if (!options) return report(options.error());
  return FetchRun(*options, arguments).run();
}

} // namespace tmpdump::cli
