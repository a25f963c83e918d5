// SPDX-License-Identifier: Apache-2.0
#include "cli/wait_command.h"

#include "cli/report.h"
#include "cli/snapshot.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <tmpdump.h>

namespace tmpdump::cli {

namespace {

using Clock = std::chrono::steady_clock;

bool starts_below(const std::string& path, std::string directory) {
  while (directory.ends_with('/'))
    directory.pop_back();
  return path.starts_with(directory + "/");
}

bool is_outside(const std::string& path, const std::string& destination) {
  if (!path.starts_with('/') || starts_below(path, destination)) return false;
  std::error_code unknown;
  const auto real = std::filesystem::canonical(destination, unknown);
  return unknown || !starts_below(path, real.string());
}

std::string subject(const std::string* path) {
  return path == nullptr ? "the archive" : "'" + printable(*path) + "'";
}

// The daemon's own failure. The manifest has it, unless a new daemon has begun since.
Failure daemon_failure(const std::string* path, const std::string& destination) {
  const auto reader = open_current(destination);
  if (!reader.has_value()) return reader.error();
  const manifest::Status status = reader->status();
  if (!status.failure) return {Errc::io, "tmpdump gave up, and was started again since: wait again"};
  return status.failure->within("tmpdump gave up before " + subject(path) + " was ready");
}

// The limit counts for all paths together.
class Limit {
public:
  explicit Limit(int milliseconds)
      : milliseconds_(milliseconds), end_(Clock::now() + std::chrono::milliseconds(milliseconds)) {}
  [[nodiscard]] int left() const {
    if (milliseconds_ < 0) return -1;
    const auto rest = std::chrono::ceil<std::chrono::milliseconds>(end_ - Clock::now()).count();
    return static_cast<int>(std::clamp<std::chrono::milliseconds::rep>(rest, 0, milliseconds_));
  }

private:
  int milliseconds_; // negative: none
  Clock::time_point end_;
};

result<void> wait_for(const std::string* path, const std::string& destination, const Limit& limit,
                      double timeout) {
  const int code =
      path == nullptr ? tmpdump_wait(limit.left()) : tmpdump_wait_file(path->c_str(), limit.left());
  switch (code) {
  case TMPDUMP_OK:
    return {};
  case TMPDUMP_FAILED:
    return daemon_failure(path, destination);
  case TMPDUMP_SYSTEM:
    return system_failure("read the manifest at '" + printable(destination) + "'", errno);
  default:
    return explain_wait(code, path, destination, timeout);
  }
}

result<void> wait_for_all(const WaitArguments& arguments) {
  TMPDUMP_TRY(const std::string destination, destination_of(arguments.destination));
  const auto milliseconds = arguments.timeout ? to_milliseconds(*arguments.timeout) : -1;
  if (!milliseconds) {
    return Failure{Errc::usage, "--timeout is not a number of seconds such as 8 or 0.5; see --help"};
  }
  // The client library looks at the environment at its first call.
  if (::setenv("TMPDUMP_DEST", destination.c_str(), 1) != 0) return system_failure("setenv", errno);
  const Limit limit(*milliseconds);
  const double timeout = arguments.timeout.value_or(0);
  if (arguments.paths.empty()) return wait_for(nullptr, destination, limit, timeout);
  for (const std::string& path : arguments.paths)
    TMPDUMP_CHECK(wait_for(&path, destination, limit, timeout));
  return {};
}

} // namespace

std::optional<int> to_milliseconds(double seconds) {
  if (!(seconds >= 0)) return std::nullopt; // NaN too
  const double milliseconds = std::ceil(seconds * 1000);
  return milliseconds < INT_MAX ? static_cast<int>(milliseconds) : INT_MAX;
}

Failure explain_wait(int code, const std::string* path, const std::string& destination, double timeout) {
  const std::string what = subject(path);
  const std::string where = "'" + printable(destination) + "'";
  switch (code) {
  case TMPDUMP_NOT_IN_ARCHIVE:
    if (path != nullptr && is_outside(*path, destination)) {
      return {Errc::not_found, what + " is not below " + where + ": name a file of the archive there"};
    }
    return {Errc::not_found,
            "the archive at " + where + " holds no " + what + ": `tmpdump status` lists what it holds"};
  case TMPDUMP_TIMEOUT: {
    char seconds[32];
    (void)std::snprintf(seconds, sizeof seconds, "%g", timeout);
    return {Errc::timeout, what + " was not ready at " + where + " within " + seconds +
                               " s: `tmpdump status` shows what is missing"};
  }
  case TMPDUMP_NO_DAEMON:
    return no_manifest(destination);
  case TMPDUMP_DAEMON_DIED:
    return {Errc::io, "the daemon of " + where + " ended before " + what + " was ready: its log says why"};
  case TMPDUMP_UNTRUSTED:
    return untrusted_manifest(destination);
  case TMPDUMP_INVALID:
    return {Errc::usage,
            what + " is no path: it is empty, or longer than " + std::to_string(PATH_MAX - 1) + " bytes"};
  default: // a damaged manifest, another version
    return {Errc::io, "cannot wait for " + what + " at " + where + ": " + tmpdump_strerror(code)};
  }
}

int run_wait(const WaitArguments& arguments) {
  const auto waited = wait_for_all(arguments);
  return waited.has_value() ? 0 : report(waited.error());
}

} // namespace tmpdump::cli
