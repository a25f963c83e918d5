// SPDX-License-Identifier: Apache-2.0
#include "lambda/archive.h"

#include "lambda/report.h"
#include "s3/file_source.h"
#include "s3/http_source.h"

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>

namespace tmpdump::lambda {

using boost::asio::awaitable;

namespace {

// "range 3; reason: the body ended early; position: 8388608"
std::string step(std::string_view group, unsigned row, const Trace::Arguments& arguments) {
  std::string text = group == "ranges" ? "range " + std::to_string(row) : "";
  for (const auto& [key, value] : arguments)
    text.append(text.empty() ? "" : "; ").append(key).append(": ").append(value);
  return text;
}

// Those that the archive names, and those that it has for what is in them.
std::unordered_set<std::string_view> folders_of(const std::vector<manifest::ListedEntry>& entries) {
  std::unordered_set<std::string_view> folders;
  for (const auto& entry : entries) {
    std::string_view path = entry.path;
    if (entry.kind == zip::Kind::directory) folders.insert(path);
    for (auto slash = path.rfind('/'); slash != std::string_view::npos; slash = path.rfind('/')) {
      path = path.substr(0, slash);
      if (!folders.insert(path).second) break; // and so its parents
    }
  }
  return folders;
}

} // namespace

Archive::Archive(boost::asio::io_context& context, const config::Options& options, manifest::Writer& manifest,
                 const Surroundings& surroundings, const Log& log)
    : context_(context), options_(options), manifest_(manifest), around_(surroundings), log_(log) {
  if (!log_.says(config::LogLevel::debug)) return;
  // Retries, hedges and their like are rare, and their story is in the trace already.
  trace_.listen([this](std::string_view group, unsigned row, std::string_view event,
                       const Trace::Arguments& arguments) { debug(event, step(group, row, arguments)); },
                !options_.trace_file.empty());
}

Archive::~Archive() {
  if (destination_) destination_->clean_up();
}

void Archive::debug(std::string_view event, std::string_view detail) const {
  if (log_.says(config::LogLevel::debug)) log_.say(debug_line(event, detail));
}

Trace* Archive::trace() {
  return options_.trace_file.empty() && !log_.says(config::LogLevel::debug) ? nullptr : &trace_;
}

result<void> Archive::open_source() {
  if (const auto* file = std::get_if<config::FileUri>(&options_.source)) {
    TMPDUMP_TRY(source_, s3::FileSource::open(file->path));
    return {};
  }
  net::NetworkOptions network;
  network.ca_bundle = options_.ca_bundle;
  network.user_agent = user_agent(around_);
  network_.emplace(context_, network);
  credentials_.emplace(options_, *network_);
  source_ = std::make_unique<s3::HttpSource>(options_, *network_, *credentials_, trace());
  return {};
}

// What a predecessor published and this generation does not take over goes: somebody could load it, a folder
// could stand where a file belongs, and its room is needed. Before the listing, since after it nobody would
// know: what cannot be removed ends this start, and is known to the next. Also what will be replaced: until
// then it is of no listing, and who ends this run may be followed by one that has no such file.
result<void> Archive::make_way(const manifest::Previous& previous,
                               const std::vector<manifest::ListedEntry>& entries, bool keeps) const {
  std::unordered_map<std::string_view, const manifest::ListedEntry*> listed;
  for (const auto& entry : entries)
    listed.emplace(entry.path, &entry);
  const auto stays = [&](const manifest::ListedEntry& was) {
    const auto found = listed.find(was.path);
    if (found == listed.end()) return false;
    if (was.kind == zip::Kind::directory) return found->second->kind == was.kind;
    return keeps && *found->second == was;
  };
  // What is in a folder before the folder, which has no identity.
  std::map<std::string, std::optional<output::Identity>, std::greater<>> gone;
  std::set<std::string> closed; // parents first
  for (const auto& entry : previous.entries) {
    const auto& was = entry.listed;
    const bool is_directory = was.kind == zip::Kind::directory;
    if (is_directory && (was.mode & 0700U) != 0700U) closed.insert(was.path);
    if (entry.state != TMPDUMP_ENTRY_PUBLISHED || stays(was)) continue;
    std::optional<output::Identity> identity;
    if (!is_directory) identity = output::Identity{entry.inode, entry.mtime_ns};
    gone.emplace(was.path, identity);
  }
  if (gone.empty() && keeps) return {};
  // It closed them at its end, perhaps to us as well. What is still to be closed will be.
  for (const auto& path : closed) {
    if (const auto opened = destination_->open_directory(path); !opened) return local(opened.error());
  }
  const auto folders = folders_of(entries);
  for (const auto& [path, identity] : gone) { // grows by folders without an entry, which come later in it
    const auto slash = path.rfind('/');
    if (slash != std::string::npos) gone.emplace(path.substr(0, slash), std::nullopt);
    if (!identity && folders.contains(path)) continue;
    const auto removed = destination_->remove(path, identity.value_or(output::Identity{}));
    if (!removed) return local(removed.error());
  }
  return {};
}

// The manifest learns what there is; what a predecessor left whole need not be fetched.
result<std::vector<const zip::Entry*>> Archive::list(const fetch::ObjectInfo& object,
                                                     const zip::Directory& directory,
                                                     std::vector<const zip::Entry*> wanted) {
  std::vector<manifest::ListedEntry> entries;
  entries.reserve(directory.entries.size());
  for (const auto& entry : directory.entries) {
    entries.push_back({entry.path, entry.kind, entry.mode, entry.size, entry.crc});
  }
  if (listed_) {
    if (const auto restarted = manifest_.restart(); !restarted) return local(restarted.error());
    const auto superseded = manifest::read_previous(around_.destination);
    if (!superseded) return local(superseded.error());
    if (*superseded) TMPDUMP_CHECK(make_way(**superseded, entries, false));
  } else if (manifest_.previous()) {
    TMPDUMP_CHECK(make_way(*manifest_.previous(), entries, manifest_.keeps(object.etag)));
  }
  listed_ = true;
  first_entry_ = directory.entries.data();
  auto listed = manifest_.set_listing(object.etag, std::move(entries));
  if (!listed) return local(listed.error());
  auto kept = std::move(*listed);
  std::sort(kept.begin(), kept.end());
  kept_ = kept.size();
  debug("directory",
        std::to_string(directory.entries.size()) + " entries, " + std::to_string(kept_) + " kept");
  std::erase_if(wanted, [&](const zip::Entry* entry) {
    return std::binary_search(kept.begin(), kept.end(), static_cast<std::uint32_t>(entry - first_entry_));
  });
  return wanted;
}

prefetch::Observer Archive::observe() {
  prefetch::Observer observer;
  observer.directory = [this](const fetch::ObjectInfo& object, const zip::Directory& directory,
                              std::vector<const zip::Entry*> wanted) {
    return list(object, directory, std::move(wanted));
  };
  observer.published = [this](const zip::Entry& entry) {
    auto published = manifest_.publish(static_cast<std::uint32_t>(&entry - first_entry_));
    debug("published", printable(entry.path));
    return published ? published : local(published.error());
  };
  observer.received = [this](std::uint64_t bytes) { manifest_.count(TMPDUMP_COUNTER_BYTES_RECEIVED, bytes); };
  return observer;
}

awaitable<result<prefetch::Summary>> Archive::prefetch() {
  TMPDUMP_CO_CHECK(open_source());
  auto destination = output::Destination::open(around_.destination);
  if (!destination) co_return local(destination.error());
  destination_ = std::move(*destination);
  prefetch::Settings settings;
  settings.connections = options_.connections;
  settings.max_size = options_.max_size;
  settings.max_entries = options_.max_entries;
  settings.cpu = config::cpu_level(options_, cpu_level());
  debug("processor", name(*settings.cpu));
  // A re-init finds most of it in its place.
  settings.speculate = !manifest_.previous().has_value();
  const auto observer = observe();
  co_return co_await prefetch::prefetch(context_, *source_, *destination_, settings, observer, progress_,
                                        trace());
}

result<void> Archive::finish(const prefetch::Summary& summary) {
  manifest_.count(TMPDUMP_COUNTER_REQUESTS, summary.requests);
  manifest_.count(TMPDUMP_COUNTER_RETRIES, summary.retries);
  manifest_.count(TMPDUMP_COUNTER_HEDGES, summary.hedges);
  if (const auto ready = manifest_.ready(); !ready) return local(ready.error());
  if (options_.trace_file.empty()) return {};
  // Everything is there and who waited has been told: a trace that cannot be written ends nothing.
  if (const auto written = trace_.write(options_.trace_file); !written)
    log_.say(warning_line("trace", written.error().message));
  return {};
}

} // namespace tmpdump::lambda
