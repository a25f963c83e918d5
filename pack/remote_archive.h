// SPDX-License-Identifier: Apache-2.0
// An archive to look into, wherever it is.
#pragma once

#include "config/options.h"
#include "pack/archive_file.h"

namespace tmpdump::pack {

// overrides.source names it: a file, or s3:// and http(s)://, whose object is brought whole into a file
// without a name in TMPDIR first.
result<ArchiveFile> open_archive(const config::Overrides& overrides);

} // namespace tmpdump::pack
