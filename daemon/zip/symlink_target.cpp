// SPDX-License-Identifier: Apache-2.0
#include "zip/directory.h"
#include "zip/name.h"
#include "zip/records.h"

#include <algorithm>

namespace tmpdump::zip {

// ".." is allowed only at the target's front. There it climbs from the link's own directory, whose parents
// are real directories (check_paths refuses entries below a link), so counting is exact. After a name it is
// not: in "a/.." the kernel follows `a` first, and if that is a link, ".." leads out of the place that it
// points to. With this rule no chain of links of one archive leaves the root.
result<void> check_symlink_target(const Entry& entry, std::string_view target) {
  const auto refuse = [&](std::string_view why) {
    return bad_entry(entry.path, "symbolic link to \"" + printable(target) + "\": " + std::string(why));
  };
  if (target.empty()) return refuse("the target is empty");
  if (target.size() > max_symlink_target) return refuse("the target is longer than 4095 bytes");
  if (target.find('\0') != std::string_view::npos) return refuse("the target contains NUL");
  if (target.front() == '/') return refuse("the target is absolute");

  auto depth = std::count(entry.path.begin(), entry.path.end(), '/'); // of the link's directory; 0: the root
  bool seen_name = false;
  for (std::string_view rest = target; !rest.empty();) {
    const std::size_t slash = std::min(rest.find('/'), rest.size());
    const std::string_view part = rest.substr(0, slash);
    rest.remove_prefix(std::min(slash + 1, rest.size()));
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      if (seen_name) return refuse("'..' after a name may lead anywhere; write the target without it");
      if (depth == 0) return refuse("the target lies outside the archive");
      --depth;
      continue;
    }
    if (part.size() > max_component) return refuse("a component is longer than 255 bytes");
    if (!seen_name && depth == 0 && part == reserved_name) {
      return refuse("'.tmpdump' at the top is reserved for tmpdump's own files");
    }
    seen_name = true;
  }
  return {};
}

} // namespace tmpdump::zip
