// SPDX-License-Identifier: Apache-2.0
#include "base/process.h"

#include <fstream>
#include <string>

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

} // namespace tmpdump
