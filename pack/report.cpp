// SPDX-License-Identifier: Apache-2.0
#include "pack/report.h"

#include "cli/size.h"
#include "pack/text.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <map>
#include <numeric>

namespace tmpdump::pack {

namespace {

constexpr std::size_t largest_shown = 10;
constexpr std::size_t names_shown = 3;

std::string padded(const std::string& text, std::size_t width) {
  return std::string(width - std::min(width, text.size()), ' ') + text;
}

std::string percent(std::uint64_t part, std::uint64_t whole) {
  char buffer[32];
  (void)std::snprintf(buffer, sizeof buffer, "%.1f %%",
                      whole == 0 ? 100.0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole));
  return buffer;
}

std::string headline(const PackReport& report) {
  std::size_t files = 0, links = 0;
  std::uint64_t before = 0;
  for (const Item& item : *report.items) {
    if (item.kind == zip::Kind::file) ++files;
    if (item.kind == zip::Kind::symlink) ++links;
    if (item.kind == zip::Kind::file) before += item.size_before;
  }
  std::string text = report.archive + ": " + counted(files, "file");
  if (links != 0) text += ", " + counted(links, "link");
  text += ", " + cli::format_size(before);
  if (before != report.packing->size) text += ", stripped " + cli::format_size(report.packing->size);
  return text + " -> " + cli::format_size(report.archive_size) + " (" + percent(report.archive_size, before) +
         ", " + report.method + ") in " + cli::format_seconds(report.seconds) + "\n";
}

std::string largest(const PackReport& report) {
  std::vector<std::size_t> order(report.items->size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return report.packing->entries[a].packed > report.packing->entries[b].packed;
  });
  order.resize(std::min(order.size(), largest_shown));
  std::string text = "      size    packed  segments  the largest\n";
  for (const std::size_t i : order) {
    const PackedEntry& entry = report.packing->entries[i];
    text += padded(cli::format_size((*report.items)[i].size), 10) +
            padded(cli::format_size(entry.packed), 10) + padded(std::to_string(entry.segments), 10) + "  " +
            printable((*report.items)[i].path) + "\n";
  }
  return text;
}

std::string left_out(const std::vector<LeftOut>& all) {
  struct Group {
    std::size_t count = 0;
    std::uint64_t size = 0;
    std::vector<std::string> names;
  };
  std::map<std::string, Group> groups;
  for (const LeftOut& one : all) {
    Group& group = groups[one.why];
    ++group.count;
    group.size += one.size;
    if (group.names.size() < names_shown) group.names.push_back(printable(one.origin));
  }
  std::string text = all.empty() ? "" : "left out:\n";
  for (const auto& [why, group] : groups) {
    text +=
        padded(cli::format_size(group.size), 10) + "  " + counted(group.count, "file") + ", " + why + ": ";
    for (std::size_t i = 0; i < group.names.size(); ++i)
      text += (i == 0 ? "" : ", ") + group.names[i];
    text += group.count > group.names.size() ? ", ...\n" : "\n";
  }
  return text;
}

std::string loaded_by(const LoadedBy& classes) {
  std::string text = classes.empty() ? "" : "loaded, as the log shows, by the class:\n";
  for (const auto& [name, libraries] : classes) {
    text += "  " + printable(name) + ":";
    for (const std::string& library : libraries)
      text += " " + printable(library);
    text += "\n";
  }
  return text;
}

} // namespace

double seconds_on_link(std::uint64_t bytes) {
  constexpr double bytes_a_second = 600e6 / 8;
  return static_cast<double>(bytes) / bytes_a_second;
}

std::string render(const std::vector<Missing>& missing) {
  std::string text = missing.empty() ? "" : "needed, but not in the archive:\n";
  for (const Missing& one : missing) {
    text += "  " + printable(one.name) + ": by " + printable(one.needed_by.front());
    if (one.needed_by.size() > 1) text += " and " + std::to_string(one.needed_by.size() - 1) + " more";
    text += "; Amazon Linux 2 has it: " + std::string(to_string(one.system.al2)) +
            ", 2023: " + std::string(to_string(one.system.al2023));
    if (!one.system.note.empty()) text += " (" + std::string(one.system.note) + ")";
    text += "\n";
  }
  return text;
}

std::string render(const PackReport& report) {
  std::string text = headline(report) + largest(report) + left_out(report.left_out) +
                     loaded_by(report.loaded_by) + render(report.missing);
  for (const std::string& note : report.notes)
    text += "note: " + note + "\n";
  return text + "arrives in about " + cli::format_seconds(seconds_on_link(report.archive_size)) +
         " over a link of 600 Mbit/s\n";
}

} // namespace tmpdump::pack
