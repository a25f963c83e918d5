// SPDX-License-Identifier: Apache-2.0
#include "cli/profile_command.h"

#include "cli/profile.h"
#include "cli/report.h"
#include "cli/snapshot.h"

#include <cerrno>
#include <cstdio>
#include <memory>

namespace tmpdump::cli {

namespace {

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

result<void> write_all(std::FILE* file, const std::string& text, const std::string& name) {
  if (std::fwrite(text.data(), 1, text.size(), file) != text.size() || std::fflush(file) != 0) {
    return system_failure("write " + name, errno);
  }
  return {};
}

result<void> write_file(const std::string& path, const std::string& text) {
  if (path == "-") return write_all(stdout, text, "the profile");
  const std::string name = "'" + printable(path) + "'";
  const File file(std::fopen(path.c_str(), "we"), std::fclose);
  if (!file) return system_failure("open " + name, errno);
  return write_all(file.get(), text, name);
}

result<void> run(const ProfileArguments& arguments) {
  if (arguments.output && arguments.output->empty()) {
    return Failure{Errc::usage, "--output is empty: name a file, or - for the standard output"};
  }
  TMPDUMP_TRY(const std::string destination, destination_of(arguments.destination));
  TMPDUMP_TRY(const manifest::Reader reader, open_current(destination));
  TMPDUMP_TRY(const Snapshot snapshot, take_snapshot(destination, reader));
  const Profile profile = profile_of(snapshot);
  if (arguments.output) {
    if (profile.used.empty()) {
      return Failure{Errc::not_found, "nobody has asked for a single file at '" + printable(destination) +
                                          "' yet: run the function with TMPDUMP_WAIT=lazy first"};
    }
    TMPDUMP_CHECK(write_file(*arguments.output, render_profile_file(snapshot, profile)));
    if (*arguments.output == "-") return {};
  }
  return write_all(stdout,
                   arguments.json ? render_profile_json(snapshot, profile) + "\n"
                                  : render_profile(snapshot, profile),
                   "the profile");
}

} // namespace

int run_profile(const ProfileArguments& arguments) {
  const auto shown = run(arguments);
  return shown.has_value() ? 0 : report(shown.error());
}

} // namespace tmpdump::cli
