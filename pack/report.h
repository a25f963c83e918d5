// SPDX-License-Identifier: Apache-2.0
// What `tmpdump pack` says when it is done. Pure.
#pragma once

#include "pack/from_log.h"
#include "pack/libraries.h"
#include "pack/pack.h"

#include <string>

namespace tmpdump::pack {

struct PackReport {
  std::string archive;
  std::uint64_t archive_size = 0;
  std::string method; // "zstd 19"
  double seconds = 0;
  const std::vector<Item>* items = nullptr;
  const Packing* packing = nullptr;
  std::vector<LeftOut> left_out;
  std::vector<Missing> missing;
  std::vector<std::string> notes;
  LoadedBy loaded_by; // under --from-log
};

std::string render(const PackReport& report);

// Seconds that so many bytes take on a link of 600 Mbit/s, about what a function sustains.
double seconds_on_link(std::uint64_t bytes);

// The missing libraries as lines of text: who needs them, and what Amazon Linux has.
std::string render(const std::vector<Missing>& missing);

} // namespace tmpdump::pack
