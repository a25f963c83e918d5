// SPDX-License-Identifier: Apache-2.0
// The program `tmpdump-prefetch`: /opt/extensions/tmpdump-prefetch.
#include "base/process.h"
#include "base/version.h"
#include "lambda/extension.h"
#include "prefetch/dependency_versions.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <mutex>
#include <new>
#include <string>
#include <string_view>
#include <unistd.h>

namespace {

constexpr const char* help =
    "tmpdump-prefetch: brings large native libraries from S3 to /tmp while a Lambda function starts.\n"
    "\n"
    "A Lambda external extension: put it at /opt/extensions/tmpdump-prefetch; Lambda starts it. It takes no\n"
    "arguments; its settings are environment variables:\n"
    "  TMPDUMP_URI           s3://BUCKET/KEY of the archive "
    "[s3://$TMPDUMP_BUCKET/tmpdump/$AWS_LAMBDA_FUNCTION_NAME.zip]\n"
    "  TMPDUMP_BUCKET        bucket of the default URI [HUMANGRAPHICS_BUCKET]\n"
    "  TMPDUMP_DEST          where to unpack [/tmp]\n"
    "  TMPDUMP_CONNECTIONS   parallel connections, 1 to 64 [chosen from the archive's size]\n"
    "  TMPDUMP_ON_MISSING    continue or fail when the archive is missing or may not be read [continue]\n"
    "  TMPDUMP_HOLD_INIT     1: INIT ends when the archive is ready; 0: at once [1]\n"
    "  TMPDUMP_CPU           processor to serve: auto, x86-64, x86-64-v2, x86-64-v3 or x86-64-v4 [auto]\n"
    "  TMPDUMP_LOG           error, warn, info or debug [info]\n"
    "  TMPDUMP_METRICS       emf: CloudWatch metrics in the log [none]\n"
    "  TMPDUMP_TRACE         file for a trace that opens in Perfetto [none]\n"
    "and the AWS SDKs' own, such as AWS_REGION, AWS_ENDPOINT_URL_S3 and AWS_CA_BUNDLE.\n";

// What a SIGBUS means here, said without a heap: the line of a failure.
constexpr const char* truncated =
    R"({"level":"error","event":"tmpdump.failed","errorType":"Tmpdump.IO","message":"a file that is mapped was )"
    R"(truncated by another process (TMPDUMP_DEST/.tmpdump/manifest?): leave .tmpdump alone"})"
    "\n";

// What somebody who has none throws where nobody can catch it, as in a decoder's thread.
constexpr const char* no_memory =
    R"({"level":"error","event":"tmpdump.failed","errorType":"Tmpdump.IO","message":"out of memory; give the )"
    R"(function more"})"
    "\n";

[[noreturn]] void end_at_once() {
  // Without an exception (a thread that nobody joined) to throw on would bring us here again, without end.
  if (!std::current_exception()) std::abort();
  try {
    throw;
  } catch (const std::bad_alloc&) {
    const auto written = ::write(STDOUT_FILENO, no_memory, std::strlen(no_memory));
    ::_exit(written < 0 ? 2 : 1);
  } catch (...) {
    __gnu_cxx::__verbose_terminate_handler();
  }
  std::abort();
}

std::string variable(const char* name, const char* fallback) {
  const char* const value = std::getenv(name); // NOLINT(concurrency-mt-unsafe): before any thread exists
  return value == nullptr || *value == '\0' ? fallback : value;
}

int run(int argc, char** argv, tmpdump::prefetch::Clock::time_point exec, const std::string& exposed) {
  if (argc > 1) {
    if (std::strcmp(argv[1], "--help") == 0) return std::fputs(help, stdout) < 0 ? 1 : 0;
    if (std::strcmp(argv[1], "--version") == 0) {
      return std::printf("tmpdump-prefetch %s\n%s\n", tmpdump::version,
                         tmpdump::prefetch::dependency_versions().c_str()) < 0
                 ? 1
                 : 0;
    }
    (void)std::fprintf(stderr, "tmpdump-prefetch: error: unexpected argument '%s'; see --help\n", argv[1]);
    return 2;
  }
  std::mutex printing;
  tmpdump::lambda::Surroundings around;
  const std::string_view self = argv[0];
  around.name = self.substr(self.rfind('/') + 1);
  around.version = tmpdump::version;
  around.exec = exec;
  around.exposed = exposed;
  around.runtime_api = variable("AWS_LAMBDA_RUNTIME_API", "");
  around.destination = variable("TMPDUMP_DEST", "/tmp");
  around.print = [&printing](std::string_view line) {
    const std::lock_guard lock(printing);
    (void)std::fwrite(line.data(), 1, line.size(), stdout);
    (void)std::fputc('\n', stdout);
    (void)std::fflush(stdout);
  };
  auto options = tmpdump::config::parse_options(tmpdump::config::process_environment());
  tmpdump::config::wipe_environment();
  return tmpdump::lambda::run_extension(std::move(options), around);
}

} // namespace

int main(int argc, char** argv) {
  const auto exec = tmpdump::prefetch::Clock::now();
  const auto kept = tmpdump::keep_to_oneself();
  tmpdump::explain_bus_errors(STDOUT_FILENO, truncated);
  std::set_terminate(end_at_once);
  tmpdump::bound_free_heap();
  (void)std::signal(SIGPIPE, SIG_IGN); // a closed connection is an error code, not a death
  try {
    return run(argc, argv, exec, kept ? "" : kept.error().message);
  } catch (const std::exception& error) {
    (void)std::fprintf(stderr, "tmpdump-prefetch: error: %s\n", error.what());
    return 1;
  }
}
