// SPDX-License-Identifier: Apache-2.0
#include "base/process.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <link.h>
#include <malloc.h>
#include <string>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

namespace tmpdump {

result<void> keep_to_oneself() {
  std::string denied;
  const auto note = [&denied](const char* what, int status) {
    if (status == 0) return;
    denied.append(denied.empty() ? "" : ", ").append(system_failure(what, errno).message);
  };
  const rlimit no_core{0, 0};
  note("setrlimit RLIMIT_CORE", ::setrlimit(RLIMIT_CORE, &no_core));
  note("prctl PR_SET_DUMPABLE", ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
  note("prctl PR_SET_NO_NEW_PRIVS", ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  if (denied.empty()) return {};
  return Failure{Errc::denied, denied +
                                   ": a core of this process, or another one of its user, may show the keys; "
                                   "have the sandbox permit it"};
}

namespace {

int bus_error_descriptor = -1;
const char* bus_error_line = nullptr;

void on_bus_error(int /*number*/) {
  // Async-signal-safe, all of it.
  (void)!::write(bus_error_descriptor, bus_error_line, std::strlen(bus_error_line));
  ::_exit(1);
}

} // namespace

void explain_bus_errors(int descriptor, const char* line) {
  bus_error_descriptor = descriptor;
  bus_error_line = line;
  (void)std::signal(SIGBUS, on_bus_error);
}

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
    // NOLINTNEXTLINE(performance-no-int-to-ptr): dlpi_addr and p_vaddr are integers
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

[[gnu::noinline]] void wipe_stack() {
  volatile unsigned char below[std::size_t{48} * 1024];
  for (auto& byte : below)
    byte = 0;
}

void give_back_memory() {
  (void)::malloc_trim(0);
  auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  (void)::dl_iterate_phdr(&drop_constant_pages, &page);
}

} // namespace tmpdump
