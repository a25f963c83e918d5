// SPDX-License-Identifier: Apache-2.0
#include "pack/libraries.h"

#include "base/unique_fd.h"
#include "manifest/elf_needed.h"
#include "pack/levels.h"
#include "pack/text.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace tmpdump::pack {

namespace {

constexpr std::uint64_t smallest_to_link = 4096; // below it a link saves nothing

std::string sibling(const std::string& path, const std::string& name) {
  const std::string_view folder = directory(path);
  return folder.empty() ? name : std::string(folder) + "/" + name;
}

// From the folder of `from` to `to`: "..", as often as needed, comes first (as zip::check_symlink_target
// wants it).
std::string relative(std::string_view from, std::string_view to) {
  std::size_t common = 0;
  for (std::size_t i = 0; i < from.size() && i < to.size() && from[i] == to[i]; ++i) {
    if (from[i] == '/') common = i + 1;
  }
  std::string out;
  for (const char c : from.substr(common)) {
    if (c == '/') out += "../";
  }
  return out.append(to.substr(common));
}

// "libx.so" of "libx.so.4.10".
std::string_view stem(std::string_view name) {
  const std::size_t at = name.rfind(".so");
  return at == std::string_view::npos ? name : name.substr(0, at + 3);
}

std::multimap<std::string_view, const Item*> by_file_name(const std::vector<Item>& items) {
  std::multimap<std::string_view, const Item*> found;
  for (const Item& item : items) {
    if (item.kind != zip::Kind::directory) found.emplace(file_name(item.path), &item);
  }
  return found;
}

void sort_items(std::vector<Item>& items) {
  std::sort(items.begin(), items.end(), [](const Item& a, const Item& b) { return a.path < b.path; });
}

// Does `item` serve who needs `name`?
bool serves(const Item& item, const Libraries& libraries, std::string_view name) {
  if (item.kind != zip::Kind::file || !level_of(item.path).empty()) return false;
  const auto library = libraries.find(item.path);
  if (library == libraries.end() || !library->second.is_elf) return false;
  if (!library->second.soname.empty()) return library->second.soname == name;
  const std::string_view own = file_name(item.path);
  return stem(own) == stem(name) &&
         (own == stem(own) || name == stem(name) || own.starts_with(std::string(name) + "."));
}

} // namespace

result<Libraries> read_libraries(Collected& collected) {
  Libraries libraries;
  for (const Item& item : collected.items) {
    if (item.kind != zip::Kind::file) continue;
    const UniqueFd fd(::open(item.file.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) return system_failure("open " + quote(item.origin), errno);
    std::array<char, 4> magic{};
    const ssize_t count = ::pread(fd.get(), magic.data(), magic.size(), 0);
    if (count < 0) return system_failure("read " + quote(item.origin), errno);
    const bool elf = count == 4 && std::memcmp(magic.data(), "\177ELF", 4) == 0;
    if (!elf) {
      if (!named_like_a_library(item.path) || item.asked_for) continue;
      return Failure{Errc::usage,
                     quote(item.origin) +
                         " is named like a library but is no ELF file (a linker script? a pointer "
                         "of Git LFS?): replace it, --exclude it, or --include it all the same"};
    }
    auto names = manifest::read_elf_names(fd.get());
    if (!names)
      return Failure{Errc::usage, quote(item.origin) + ": damaged ELF file: " + names.error().message};
    if (!names->is_elf) {
      collected.notes.push_back(quote(item.path) + " is an ELF file of a machine that Lambda does not have");
    }
    libraries[item.path] = {names->is_elf, std::move(names->soname), std::move(names->needed)};
  }
  return libraries;
}

std::set<std::string> closure(const std::vector<Item>& items, const Libraries& libraries,
                              std::set<std::string> paths) {
  const auto names = by_file_name(items);
  std::vector<std::string> open(paths.begin(), paths.end());
  const auto add = [&](std::string_view name) {
    const auto [first, last] = names.equal_range(name);
    for (auto it = first; it != last; ++it) {
      if (paths.insert(it->second->path).second) open.push_back(it->second->path);
    }
  };
  while (!open.empty()) {
    const std::string path = std::move(open.back());
    open.pop_back();
    const auto item = std::find_if(items.begin(), items.end(), [&](const Item& i) { return i.path == path; });
    if (item != items.end() && item->kind == zip::Kind::symlink) add(file_name(item->target));
    const auto library = libraries.find(path);
    if (library == libraries.end()) continue;
    for (const std::string& name : library->second.needed) {
      add(name);
      for (const Item& other : items) {
        if (serves(other, libraries, name) && paths.insert(other.path).second) open.push_back(other.path);
      }
    }
  }
  return paths;
}

namespace {

// A variant that is what it would replace.
result<void> leave_out_equal_variants(Collected& collected) {
  std::map<std::string_view, const Item*> by_path;
  for (const Item& item : collected.items)
    by_path.emplace(item.path, &item);
  std::set<std::string> equal;
  for (const Item& item : collected.items) {
    const std::string place = published_path(item.path);
    const auto base = by_path.find(place);
    if (place == item.path || base == by_path.end()) continue;
    if (item.kind != zip::Kind::file || base->second->kind != zip::Kind::file) continue;
    if (item.size < smallest_to_link || item.size != base->second->size) continue;
    TMPDUMP_TRY(const bool same, same_bytes(item, *base->second));
    if (!same) continue;
    equal.insert(item.path);
    collected.left_out.push_back({item.origin, "the same as the library for every CPU", item.size});
  }
  std::erase_if(collected.items, [&](const Item& item) { return equal.contains(item.path); });
  return {};
}

} // namespace

result<void> store_once(Collected& collected, const Libraries& libraries) {
  TMPDUMP_CHECK(leave_out_equal_variants(collected));
  std::multimap<std::uint64_t, std::size_t> kept; // by size: positions in items
  auto& items = collected.items;
  // A file that is named as its SONAME says comes first: links lead to it. No link leads to a variant or
  // stands for one: it would be published at its own target's place.
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const bool plain = items[i].kind == zip::Kind::file && level_of(items[i].path).empty();
    if (plain && items[i].size >= smallest_to_link) order.push_back(i);
  }
  std::stable_partition(order.begin(), order.end(), [&](std::size_t i) {
    const auto library = libraries.find(items[i].path);
    return library != libraries.end() && library->second.soname == file_name(items[i].path);
  });
  for (const std::size_t i : order) {
    Item& item = items[i];
    bool is_new = true;
    const auto [first, last] = kept.equal_range(item.size);
    for (auto it = first; it != last && is_new; ++it) {
      const Item& other = items[it->second];
      if (item.mode != other.mode) continue;
      TMPDUMP_TRY(const bool same, same_bytes(item, other));
      if (!same) continue;
      is_new = false;
      collected.left_out.push_back(
          {item.origin, "the same as " + quote(other.path) + ": stored as a link", item.size});
      item.target = relative(item.path, other.path);
      item.kind = zip::Kind::symlink;
      item.mode = 0777;
      item.size = item.target.size();
    }
    if (is_new) kept.emplace(item.size, i);
  }
  return {};
}

void add_version_links(Collected& collected, const Libraries& libraries,
                       const std::map<std::string, std::string>& wanted) {
  std::vector<Item> links;
  std::set<std::string, std::less<>> there;
  for (const Item& item : collected.items)
    there.insert(std::string(file_name(item.path)));
  const auto add = [&](const Item& item, const std::string& name, const std::string& why) {
    Item link;
    link.path = sibling(item.path, name);
    link.kind = zip::Kind::symlink;
    link.mode = 0777;
    link.target = file_name(item.path);
    link.size = link.target.size();
    link.origin = why;
    collected.notes.push_back(quote(link.path) + " -> " + link.target + " made: " + why);
    links.push_back(std::move(link));
    there.insert(name);
  };
  for (const Item& user : collected.items) {
    const auto library = libraries.find(user.path);
    if (library == libraries.end()) continue;
    for (const std::string& name : library->second.needed) {
      if (there.contains(name)) continue;
      const auto found = std::find_if(collected.items.begin(), collected.items.end(),
                                      [&](const Item& item) { return serves(item, libraries, name); });
      if (found != collected.items.end()) add(*found, name, quote(user.path) + " needs that name");
    }
  }
  for (const auto& [name, target] : wanted) {
    if (there.contains(name)) continue;
    const auto found =
        std::find_if(collected.items.begin(), collected.items.end(),
                     [&stands_for = target](const Item& item) { return file_name(item.path) == stands_for; });
    if (found != collected.items.end()) add(*found, name, "the log loads it by that name");
  }
  collected.items.insert(collected.items.end(), std::make_move_iterator(links.begin()),
                         std::make_move_iterator(links.end()));
  sort_items(collected.items);
}

std::vector<Missing> find_missing(const std::vector<Item>& items, const Libraries& libraries) {
  const auto names = by_file_name(items);
  std::map<std::string, Missing> missing;
  for (const Item& item : items) {
    const auto library = libraries.find(item.path);
    if (library == libraries.end() || item.kind != zip::Kind::file) continue;
    for (const std::string& name : library->second.needed) {
      if (names.contains(file_name(name))) continue;
      const SystemLibrary system = system_library(name);
      if (system.al2 == Presence::yes && system.al2023 == Presence::yes) continue;
      Missing& entry = missing[name];
      entry.name = name;
      entry.system = system;
      entry.needed_by.push_back(item.path);
    }
  }
  std::vector<Missing> sorted;
  sorted.reserve(missing.size());
  for (auto& [name, entry] : missing)
    sorted.push_back(std::move(entry));
  return sorted;
}

} // namespace tmpdump::pack
