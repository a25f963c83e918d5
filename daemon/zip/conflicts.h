// SPDX-License-Identifier: Apache-2.0
// Rules about entries against each other.
#pragma once

#include "base/error.h"
#include "zip/directory.h"

#include <cstdint>
#include <span>

namespace tmpdump::zip {

// Fills in region_end: a region ends where the next one begins (or the directory), but no later than its
// header, data and descriptor can reach. Fails when entries overlap or reach past directory_offset.
result<void> assign_regions(std::span<Entry> entries, std::uint64_t directory_offset);

// Fails when two entries have one path, or when an entry lies below something that is not a directory.
result<void> check_paths(std::span<const Entry> entries);

} // namespace tmpdump::zip
