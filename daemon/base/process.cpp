// SPDX-License-Identifier: Apache-2.0
#include "base/process.h"

#include <fstream>
#include <link.h>
#include <malloc.h>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

namespace tmpdump {

std::uint64_t peak_memory() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (word == "VmHWM:") {
      std::uint64_t kib = 0;
      status >> kib;
      return kib * 1024;
    }
  }
  return 0;
}

namespace {

// Nothing can be lost with a segment that nobody may write: the file has it all.
int drop_constant_pages(dl_phdr_info* program, std::size_t /*size*/, void* page_size) {
  const auto page = *static_cast<const std::uintptr_t*>(page_size);
  for (unsigned i = 0; i < program->dlpi_phnum; ++i) {
    const auto& segment = program->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
    const std::uintptr_t begin = (program->dlpi_addr + segment.p_vaddr) / page * page;
    const std::uintptr_t end = program->dlpi_addr + segment.p_vaddr + segment.p_memsz;
    // A page that does not go is not worth a word.
    (void)::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
  }
  return 0;
}

} // namespace

void bound_free_heap() {
  constexpr int most = 512 << 10;
  (void)::mallopt(M_MMAP_THRESHOLD, most);
  (void)::mallopt(M_TRIM_THRESHOLD, most);
}

void give_back_memory() {
  (void)::malloc_trim(0);
  auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  (void)::dl_iterate_phdr(&drop_constant_pages, &page);
}

} // namespace tmpdump
