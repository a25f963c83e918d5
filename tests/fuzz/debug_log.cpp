// SPDX-License-Identifier: Apache-2.0
// Texts that tmpdump pack reads: JavaCPP's log, and a profile.
#include "pack/debug_log.h"

#include "fuzz.h"
#include "pack/profile.h"

#include <set>

using namespace tmpdump;
using namespace tmpdump::fuzz;

FUZZ_TARGET(debug_log) {
  const auto text = text_of(input.rest());
  const auto log = pack::parse_debug_log(text);
  std::set<std::string> names, jars;
  for (const auto& library : log.libraries) {
    require(!library.name.empty() && library.name.find('/') == std::string::npos,
            "a library has a file name");
    require(library.name.find('\n') == std::string::npos, "a name is of one line");
    require(names.insert(library.name).second, "each library once");
    const std::set<std::string> classes(library.classes.begin(), library.classes.end());
    require(classes.size() == library.classes.size(), "each class once");
  }
  for (const auto& jar : log.jars)
    require(jars.insert(jar).second, "each jar once");
  for (const auto& path : pack::parse_profile(text))
    require(!path.empty() && path.find('\n') == std::string::npos, "a line is a path");
}
