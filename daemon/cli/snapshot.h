// SPDX-License-Identifier: Apache-2.0
// What a destination's manifest says at one moment.
#pragma once

#include "manifest/reader.h"

#include <optional>
#include <string>
#include <vector>

namespace tmpdump::cli {

// --dest, else TMPDUMP_DEST, else /tmp. An empty --dest: Errc::usage.
result<std::string> destination_of(const std::optional<std::string>& option);
// Errc::not_found, with what to do about it.
Failure no_manifest(const std::string& destination);
// Errc::denied, with what to do about it.
Failure untrusted_manifest(const std::string& destination);

// The current generation; one that is superseded between its opening and our look is opened again.
result<manifest::Reader> open_current(const std::string& destination);

struct Snapshot {
  std::string destination;
  manifest::Status status;
  std::vector<manifest::EntryStatus> entries; // empty before the listing
};
// The status first: what it says is published, is published in the entries too.
result<Snapshot> take_snapshot(const std::string& destination, const manifest::Reader& reader);

// The daemon is gone and has neither finished nor said why not.
bool has_died(const manifest::Status& status);
// Nothing will change any more, unless another daemon starts.
bool has_ended(const manifest::Status& status);
// Of a snapshot that has ended: good when everything is there, else the daemon's own failure, or its death.
result<void> verdict(const std::string& destination, const manifest::Status& status);

} // namespace tmpdump::cli
