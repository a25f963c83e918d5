// SPDX-License-Identifier: Apache-2.0
#include "cli/status_command.h"

#include "cli/report.h"
#include "cli/snapshot.h"
#include "cli/status_follow.h"
#include "cli/status_json.h"
#include "cli/status_text.h"

#include <cerrno>
#include <cstdio>

namespace tmpdump::cli {

namespace {

result<void> show(const std::string& destination, bool as_json) {
  TMPDUMP_TRY(const manifest::Reader reader, open_current(destination));
  TMPDUMP_TRY(const Snapshot snapshot, take_snapshot(destination, reader));
  const std::string text = as_json ? render_json(snapshot) + "\n" : render_status(snapshot);
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    return system_failure("write the status", errno);
  }
  return {};
}

result<void> run(const StatusArguments& arguments) {
  TMPDUMP_TRY(const std::string destination, destination_of(arguments.destination));
  return arguments.follow ? Follower(destination, stdout).run() : show(destination, arguments.json);
}

} // namespace

int run_status(const StatusArguments& arguments) {
  const auto shown = run(arguments);
  return shown.has_value() ? 0 : report(shown.error());
}

} // namespace tmpdump::cli
