// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/options.h"
#include "pack/archive_file.h"
#include "pack/interrupt.h"

#include <string>
#include <vector>

namespace tmpdump::pack {

struct Row {
  zip::Entry entry;
  std::string target;                 // a symbolic link's
  std::vector<std::string> needs;     // DT_NEEDED names, as the loader will look for them
  std::vector<std::string> needed_by; // paths of the archive's entries that wait for this one
};

// Every entry in the directory's order. Unpacks the libraries to see what they need.
result<std::vector<Row>> read_rows(const ArchiveFile& archive, const Interrupt& interrupt);

std::string render_table(const std::vector<Row>& rows);
// One object: {"archive", "entries": [...], "size", "packed"}.
std::string render_json(const std::string& archive, const std::vector<Row>& rows);

struct LsArguments {
  config::Overrides overrides;
  bool json = false;
};

// `tmpdump ls`: the exit status.
int run_ls(const LsArguments& arguments);

} // namespace tmpdump::pack
