// SPDX-License-Identifier: Apache-2.0
#include "cli/snapshot.h"

#include <cstdlib>

namespace tmpdump::cli {

namespace {

std::string quoted(const std::string& destination) {
  return "'" + printable(destination) + "'";
}

} // namespace

result<std::string> destination_of(const std::optional<std::string>& option) {
  if (option) {
    if (option->empty()) return Failure{Errc::usage, "--dest is empty: name the daemon's destination"};
    return *option;
  }
  const char* const variable = std::getenv("TMPDUMP_DEST");
  return std::string(variable != nullptr && variable[0] != '\0' ? variable : "/tmp");
}

Failure no_manifest(const std::string& destination) {
  return {Errc::not_found,
          "no manifest at " + quoted(destination + "/" TMPDUMP_MANIFEST_DIRECTORY) +
              ": is the tmpdump layer attached, and TMPDUMP_DEST (or --dest) the daemon's destination?"};
}

Failure untrusted_manifest(const std::string& destination) {
  return {Errc::denied, "another user owns, or may write, the manifest at " + quoted(destination) +
                            ": run this as the daemon's user, or remove its " TMPDUMP_MANIFEST_DIRECTORY};
}

result<manifest::Reader> open_current(const std::string& destination) {
  std::optional<std::uint64_t> superseded;
  for (;;) {
    auto reader = manifest::Reader::open(destination);
    if (!reader.has_value()) {
      if (reader.error().code == Errc::not_found) return no_manifest(destination);
      // In contrast to a destination that is closed to us.
      if (reader.error().code == Errc::denied && reader.error().lasting)
        return untrusted_manifest(destination);
      return reader.error();
    }
    const manifest::Status status = reader->status();
    if (status.state != TMPDUMP_STATE_SUPERSEDED) return std::move(*reader);
    // Marked only after its successor has taken the name: the same one twice lies, and would hold us for
    // ever.
    if (superseded == status.generation) {
      return Failure{Errc::io, "the manifest at " + quoted(destination) + " is damaged: remove " +
                                   quoted(destination + "/" TMPDUMP_MANIFEST_DIRECTORY)};
    }
    superseded = status.generation;
  }
}

result<Snapshot> take_snapshot(const std::string& destination, const manifest::Reader& reader) {
  Snapshot snapshot{destination, reader.status(), {}};
  snapshot.entries.reserve(reader.entry_count());
  for (std::uint32_t i = 0; i < reader.entry_count(); ++i) {
    TMPDUMP_TRY(auto entry, reader.entry(i));
    snapshot.entries.push_back(std::move(entry));
  }
  return snapshot;
}

bool has_died(const manifest::Status& status) {
  return !status.alive && (status.state == TMPDUMP_STATE_STARTING || status.state == TMPDUMP_STATE_LISTED);
}

bool has_ended(const manifest::Status& status) {
  return status.state == TMPDUMP_STATE_READY || status.state == TMPDUMP_STATE_FAILED || has_died(status);
}

result<void> verdict(const std::string& destination, const manifest::Status& status) {
  if (status.failure) return status.failure->within("tmpdump gave up on " + quoted(destination));
  if (has_died(status)) {
    return Failure{Errc::io, "the daemon of " + quoted(destination) +
                                 " ended before everything was ready: its log says why"};
  }
  return {};
}

} // namespace tmpdump::cli
