// SPDX-License-Identifier: Apache-2.0
// Jars inside a jar, as Spring Boot's and as the zip of a Lambda function with lib/*.jar: taken out, and put
// back rewritten.
#pragma once

#include "base/unique_fd.h"
#include "pack/jar.h"
#include "pack/output_file.h"
#include "pack/workspace.h"

#include <optional>

namespace tmpdump::pack {

// The jar that `member` holds, unpacked into `workspace`. None: it is no jar, or stands in the archive in a
// way that strip-jar does not rewrite (above 4 GiB, encrypted, a method other than stored and deflate).
result<std::optional<ArchiveFile>> open_nested(const ArchiveFile& jar, const Member& member,
                                               Workspace& workspace);

// `file`, from its beginning, as what replaces the member's data: by the member's own method.
result<Replacement> replacement_of(int file, std::uint64_t size, const Member& member);

// Writes the member's local header and data with its replacement.
result<void> write_replaced(const ArchiveFile& jar, const Member& member, OutputFile& out);
// The same in the member's central header.
void patch_central(std::string& header, const Replacement& replacement);

} // namespace tmpdump::pack
