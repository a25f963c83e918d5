// SPDX-License-Identifier: Apache-2.0
#include "cli/status_json.h"

#include "cli/json_text.h"
#include "cli/status_text.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace tmpdump::cli {

namespace json = boost::json;

namespace {

using manifest::EntryStatus;
using manifest::Status;

json::string word(std::string_view text) {
  return json::string(text.data(), text.size());
}

json::value failure_of(const Status& status) {
  if (!status.failure) return nullptr;
  return json::object{{"code", word(tmpdump::name(status.failure->code))},
                      {"exit_status", exit_status(status.failure->code)},
                      {"reason", text_of(status.failure->message)}};
}

json::object counters_of(const Status& status) {
  const auto* const counters = status.counters;
  return {{"files_total", counters[TMPDUMP_COUNTER_FILES_TOTAL]},
          {"files_published", counters[TMPDUMP_COUNTER_FILES_PUBLISHED]},
          {"files_kept", counters[TMPDUMP_COUNTER_FILES_KEPT]},
          {"bytes_total", counters[TMPDUMP_COUNTER_BYTES_TOTAL]},
          {"bytes_published", counters[TMPDUMP_COUNTER_BYTES_PUBLISHED]},
          {"bytes_received", counters[TMPDUMP_COUNTER_BYTES_RECEIVED]},
          {"requests", counters[TMPDUMP_COUNTER_REQUESTS]},
          {"retries", counters[TMPDUMP_COUNTER_RETRIES]},
          {"hedges", counters[TMPDUMP_COUNTER_HEDGES]}};
}

json::value needs_of(const Snapshot& snapshot, const EntryStatus& entry) {
  if (entry.state != TMPDUMP_ENTRY_PUBLISHED) return nullptr;
  if (entry.needs_everything) return json::string("everything");
  json::array needs;
  for (const std::uint32_t index : entry.needed) {
    if (index < snapshot.entries.size()) needs.emplace_back(text_of(snapshot.entries[index].listed.path));
  }
  return needs;
}

json::object entry_of(const Snapshot& snapshot, const EntryStatus& entry) {
  const char* const kind = entry.listed.kind == zip::Kind::directory ? "directory"
                           : entry.listed.kind == zip::Kind::symlink ? "symlink"
                                                                     : "file";
  json::object object{{"path", text_of(entry.listed.path)},
                      {"kind", kind},
                      {"state", word(name(entry.state))},
                      {"size", entry.listed.size},
                      {"mode", entry.listed.mode},
                      {"published_after_ns", since(snapshot.status, entry.published_ns)},
                      {"first_wait_after_ns", since(snapshot.status, entry.first_wait_ns)},
                      {"needs", needs_of(snapshot, entry)}};
  if (!is_exact(entry.listed.path)) object["path_escaped"] = true;
  return object;
}

} // namespace

std::string render_json(const Snapshot& snapshot) {
  const Status& status = snapshot.status;
  json::array entries;
  entries.reserve(snapshot.entries.size());
  for (const EntryStatus& entry : snapshot.entries)
    entries.emplace_back(entry_of(snapshot, entry));
  return json::serialize(json::object{{"destination", text_of(snapshot.destination)},
                                      {"state", word(name(status.state))},
                                      {"daemon_alive", status.alive},
                                      {"daemon_died", has_died(status)},
                                      {"pid", status.pid},
                                      {"generation", status.generation},
                                      {"uri", text_of(status.uri)},
                                      {"etag", text_of(status.etag)},
                                      {"failure", failure_of(status)},
                                      {"created_unix_ns", status.created_unix_ns},
                                      {"started_monotonic_ns", status.started_ns},
                                      {"listed_after_ns", since(status, status.listed_ns)},
                                      {"finished_after_ns", since(status, status.finished_ns)},
                                      {"first_wait_after_ns", since(status, status.first_wait_ns)},
                                      {"counters", counters_of(status)},
                                      {"entries", std::move(entries)}});
}

} // namespace tmpdump::cli
