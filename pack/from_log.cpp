// SPDX-License-Identifier: Apache-2.0
#include "pack/from_log.h"

#include "pack/text.h"

#include <algorithm>

namespace tmpdump::pack {

std::vector<std::string> sources_of(const DebugLog& log) {
  std::vector<std::string> sources = log.jars;
  for (const LoadedLibrary& library : log.libraries) {
    if (library.extracted) continue; // out of one of the jars
    // In JavaCPP's cache what a library needs lies beside it; any other folder may be /usr/lib.
    const std::string folder(directory(library.path));
    const bool cached = library.path.find("/org/bytedeco/") != std::string::npos;
    const std::string source = (cached ? folder : library.path) + "=lib";
    if (std::find(sources.begin(), sources.end(), source) == sources.end()) sources.push_back(source);
  }
  return sources;
}

std::map<std::string, std::string> keep_loaded(Collected& collected, const Libraries& libraries,
                                               const DebugLog& log) {
  auto& items = collected.items;
  std::set<std::string> loaded;
  std::map<std::string, std::string> renamed;
  for (const LoadedLibrary& library : log.libraries) {
    const std::string& source = library.source_name.empty() ? library.name : library.source_name;
    bool found = false;
    for (const Item& item : items) {
      if (file_name(item.path) != library.name && file_name(item.path) != source) continue;
      loaded.insert(item.path);
      found = true;
    }
    if (found && source != library.name) renamed[library.name] = source;
    if (found) continue;
    std::string note = "the log loads " + quote(library.name) + ", which no source has";
    for (std::size_t i = 0; i < library.classes.size(); ++i)
      note += (i == 0 ? "; wanted by " : ", ") + library.classes[i];
    collected.notes.push_back(std::move(note));
  }
  const std::set<std::string> kept = closure(items, libraries, loaded);
  for (const std::string& path : kept) {
    if (!loaded.contains(path))
      collected.notes.push_back("the log does not load " + quote(path) + ", but what it loads needs it");
  }
  for (const Item& item : items) {
    if (!kept.contains(item.path))
      collected.left_out.push_back({item.origin, "the log does not load it", item.size});
  }
  std::erase_if(items, [&](const Item& item) { return !kept.contains(item.path); });
  return renamed;
}

std::vector<std::string> load_order(const std::vector<Item>& items, const Libraries& libraries,
                                    const DebugLog& log) {
  std::vector<std::string> order;
  std::set<std::string> taken;
  const auto take = [&](const std::string& path) {
    if (taken.insert(path).second) order.push_back(path);
  };
  for (const LoadedLibrary& library : log.libraries) {
    for (const Item& item : items) {
      if (file_name(item.path) != library.name) continue;
      for (const std::string& needed : closure(items, libraries, {item.path})) {
        if (needed != item.path) take(needed);
      }
      take(item.path);
    }
  }
  return order;
}

LoadedBy libraries_by_class(const DebugLog& log) {
  LoadedBy found;
  for (const LoadedLibrary& library : log.libraries) {
    // The others asked for it too, but it was there.
    const std::string name = library.classes.empty() ? "(no class)" : library.classes.front();
    auto at = std::find_if(found.begin(), found.end(), [&](const auto& one) { return one.first == name; });
    if (at == found.end()) at = found.insert(found.end(), {name, {}});
    at->second.push_back(library.name);
  }
  return found;
}

} // namespace tmpdump::pack
