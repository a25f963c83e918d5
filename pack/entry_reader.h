// SPDX-License-Identifier: Apache-2.0
// One entry's content, with every check that the reader in the function makes.
#pragma once

#include "pack/archive_file.h"

#include <functional>
#include <string>

namespace tmpdump::pack {

// The local header's length, after checking it.
result<std::size_t> check_header(const ArchiveFile& archive, const zip::Entry& entry);

using Sink = std::function<result<void>(Bytes)>;
// Decodes the content into `sink`, piece by piece; for an entry with an index, each segment from its own
// bytes alone.
result<void> read_content(const ArchiveFile& archive, const zip::Entry& entry, const Sink& sink);
// A small entry's content, at most `limit` bytes: a symbolic link's target.
result<std::string> read_text(const ArchiveFile& archive, const zip::Entry& entry, std::size_t limit);

} // namespace tmpdump::pack
