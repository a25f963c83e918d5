// SPDX-License-Identifier: Apache-2.0
// The names in a library that an archive brought.
#include "base/unique_fd.h"
#include "fuzz.h"
#include "manifest/elf_needed.h"

#include <sys/mman.h>
#include <unistd.h>

using namespace tmpdump;
using namespace tmpdump::fuzz;

FUZZ_TARGET(elf) {
  const Bytes file = input.rest();
  const auto from_memory = manifest::read_elf_names(file);
  static const UniqueFd fd(::memfd_create("elf", MFD_CLOEXEC));
  require(::ftruncate(fd.get(), 0) == 0, "memfd");
  require(::pwrite(fd.get(), file.data(), file.size(), 0) == static_cast<ssize_t>(file.size()), "memfd");
  const auto from_file = manifest::read_elf_names(fd.get());
  require(from_memory.has_value() == from_file.has_value(), "a file and its bytes say the same");
  if (!from_memory) return require_message(from_memory.error());
  require(from_memory->needed == from_file->needed && from_memory->soname == from_file->soname,
          "a file and its bytes name the same");
  require(from_memory->needed.size() <= manifest::max_needed, "limits hold");
  for (const auto& name : from_memory->needed)
    require(name.size() <= manifest::max_name && name.find('\0') == name.npos, "names are names");
}
