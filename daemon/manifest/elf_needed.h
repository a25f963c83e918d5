// SPDX-License-Identifier: Apache-2.0
// The names in an ELF file's dynamic section: what it needs (DT_NEEDED) and what it calls itself (DT_SONAME).
// Input is hostile. Format: System V gABI, "Program Loading and Dynamic Linking".
#pragma once

#include "base/bytes.h"
#include "base/error.h"

#include <cstdint>
#include <string>
#include <vector>

namespace tmpdump::manifest {

struct ElfNames {
  bool is_elf =
      false; // 64-bit, little-endian, x86-64 or AArch64; anything else needs nothing that we know of
  std::string soname;
  std::vector<std::string> needed; // in the order of the dynamic section, which is the order of loading
};

// Limits before allocation. Real libraries: about 10 program headers, 40 dynamic entries, 10 needed names.
inline constexpr std::size_t max_program_headers = 1024;
inline constexpr std::size_t max_dynamic_entries = 16384;
inline constexpr std::size_t max_needed = 1024;
inline constexpr std::size_t max_name = 512;

// A file that is no ELF file gives is_elf = false; a damaged one is Errc::bad_archive.
result<ElfNames> read_elf_names(Bytes file);
// The same by pread; reads a few KiB however large the file is.
result<ElfNames> read_elf_names(int fd);

} // namespace tmpdump::manifest
