// SPDX-License-Identifier: Apache-2.0
// What a JavaCPP application loads, from its log under -Dorg.bytedeco.javacpp.logger.debug=true.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tmpdump::pack {

struct LoadedLibrary {
  std::string name;                 // file name as loaded, "libopenblas_nolapack.so.0"
  std::string source_name;          // file name that it was taken from where it differs, "libopenblas.so.0"
  std::vector<std::string> classes; // whose loading wanted it, in order
  std::string path;                 // as loaded; of the last time
  bool extracted = false; // out of a jar, in this run; else JavaCPP's cache had it, or it is the system's
};

struct DebugLog {
  std::vector<LoadedLibrary> libraries; // each once, in the order of loading
  std::vector<std::string> jars;        // that natives were taken out of, each once
  std::vector<std::string> nested_jars; // the same of jars inside of a jar: "/app.jar!BOOT-INF/lib/x.jar"
};

// Lines of other origin, and what stands before the message (times, levels), are skipped. Attempts that
// failed do not count. Pure.
DebugLog parse_debug_log(std::string_view text);

} // namespace tmpdump::pack
