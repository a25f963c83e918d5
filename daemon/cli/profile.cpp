// SPDX-License-Identifier: Apache-2.0
#include "cli/profile.h"

#include "cli/json_text.h"
#include "cli/size.h"
#include "cli/status_text.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <cstdio>

namespace tmpdump::cli {

namespace json = boost::json;

namespace {

using manifest::EntryStatus;

// How long the first who asked had to wait: ns, 0 when the file was there.
std::uint64_t waited_ns(const EntryStatus& entry) {
  return entry.published_ns > entry.first_wait_ns ? entry.published_ns - entry.first_wait_ns : 0;
}

std::string waited(const EntryStatus& entry) {
  if (entry.state != TMPDUMP_ENTRY_PUBLISHED) return "never came";
  if (waited_ns(entry) == 0) return "was there";
  char buffer[32];
  (void)std::snprintf(buffer, sizeof buffer, "%.1f ms", static_cast<double>(waited_ns(entry)) / 1e6);
  return buffer;
}

std::uint64_t size_of(const std::vector<const EntryStatus*>& entries) {
  std::uint64_t size = 0;
  for (const EntryStatus* entry : entries) {
    if (entry->listed.kind == zip::Kind::file) size += entry->listed.size;
  }
  return size;
}

std::string shown_size(const EntryStatus& entry) {
  return entry.listed.kind == zip::Kind::file ? format_size(entry.listed.size) : "-";
}

std::string shown(const std::string& path) {
  return printable(path, path.size());
}

std::string share(const std::vector<const EntryStatus*>& part, const Profile& whole) {
  return std::to_string(part.size()) + " of " + std::to_string(whole.used.size() + whole.unused.size()) +
         ", " + format_size(size_of(part)) + " of " +
         format_size(size_of(whole.used) + size_of(whole.unused)) + "\n";
}

bool fits_a_line(const std::string& path) {
  const auto is_blank = [](char c) { return c == ' ' || c == '\t'; };
  for (const char c : path) {
    if ((static_cast<unsigned char>(c) < 0x20U && c != '\t') || c == '#') return false;
  }
  return !path.empty() && !is_blank(path.front()) && !is_blank(path.back());
}

} // namespace

Profile profile_of(const Snapshot& snapshot) {
  Profile profile;
  profile.waited_for_everything = snapshot.status.first_wait_ns != 0;
  for (const EntryStatus& entry : snapshot.entries) {
    if (entry.listed.kind == zip::Kind::directory) continue;
    (entry.first_wait_ns != 0 ? profile.used : profile.unused).push_back(&entry);
  }
  std::stable_sort(profile.used.begin(), profile.used.end(), [](const auto* left, const auto* right) {
    return left->first_wait_ns < right->first_wait_ns;
  });
  std::stable_sort(profile.unused.begin(), profile.unused.end(), [](const auto* left, const auto* right) {
    return left->listed.size > right->listed.size;
  });
  return profile;
}

std::string render_profile(const Snapshot& snapshot, const Profile& profile) {
  std::string text = "used         " + share(profile.used, profile);
  if (profile.waited_for_everything && profile.used.empty()) {
    text += "             somebody waited for everything: run with TMPDUMP_WAIT=lazy to see single files\n";
  }
  if (!profile.used.empty()) text += "\n first use at        waited       size  path\n";
  for (const EntryStatus* entry : profile.used) {
    char columns[96];
    (void)std::snprintf(columns, sizeof columns, "%13s %13s %10s  ",
                        format_since(snapshot.status, entry->first_wait_ns).c_str(), waited(*entry).c_str(),
                        shown_size(*entry).c_str());
    text += columns + shown(entry->listed.path) + "\n";
  }
  text += (profile.used.empty() ? "never used   " : "\nnever used   ") + share(profile.unused, profile);
  if (!profile.unused.empty()) text += "\n       size  path\n";
  for (const EntryStatus* entry : profile.unused) {
    char column[32];
    (void)std::snprintf(column, sizeof column, "%11s  ", shown_size(*entry).c_str());
    text += column + shown(entry->listed.path) + "\n";
  }
  return text;
}

std::string render_profile_json(const Snapshot& snapshot, const Profile& profile) {
  json::array used, unused;
  for (const EntryStatus* entry : profile.used) {
    used.push_back(
        json::object{{"path", text_of(entry->listed.path)},
                     {"size", entry->listed.size},
                     {"first_use_after_ns", since(snapshot.status, entry->first_wait_ns)},
                     {"waited_ns", entry->state == TMPDUMP_ENTRY_PUBLISHED ? json::value(waited_ns(*entry))
                                                                           : json::value(nullptr)}});
  }
  for (const EntryStatus* entry : profile.unused)
    unused.push_back(json::object{{"path", text_of(entry->listed.path)}, {"size", entry->listed.size}});
  return json::serialize(json::object{{"destination", text_of(snapshot.destination)},
                                      {"uri", text_of(snapshot.status.uri)},
                                      {"etag", text_of(snapshot.status.etag)},
                                      {"waited_for_everything", profile.waited_for_everything},
                                      {"used", std::move(used)},
                                      {"unused", std::move(unused)}});
}

std::string render_profile_file(const Snapshot& snapshot, const Profile& profile) {
  std::string text = "# " + shown(snapshot.status.uri) + ", ETag " + shown(snapshot.status.etag) +
                     ": in the order of first use\n";
  for (const EntryStatus* entry : profile.used) {
    const std::string& path = entry->listed.path;
    text += fits_a_line(path) ? path + "\n" : "# cannot be a line: " + shown(path) + "\n";
  }
  if (!profile.unused.empty()) text += "\n# never used\n";
  for (const EntryStatus* entry : profile.unused)
    text += "# " + shown(entry->listed.path) + "\n";
  return text;
}

} // namespace tmpdump::cli
