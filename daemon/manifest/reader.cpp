// SPDX-License-Identifier: Apache-2.0
#include "manifest/reader.h"

#include "manifest/futex.h"

#include <algorithm>

namespace tmpdump::manifest {

namespace {

zip::Kind kind_of(std::uint32_t kind) {
  if (kind == TMPDUMP_KIND_DIRECTORY) return zip::Kind::directory;
  if (kind == TMPDUMP_KIND_SYMLINK) return zip::Kind::symlink;
  return zip::Kind::file;
}

std::string text(const char* field, std::size_t capacity, std::uint32_t size) {
  return {field, std::min<std::size_t>(capacity, size)};
}

Errc code_of(std::uint32_t code) {
  return code >= static_cast<std::uint32_t>(Errc::usage) &&
                 code <= static_cast<std::uint32_t>(Errc::cancelled)
             ? static_cast<Errc>(code)
             : Errc::io;
}

} // namespace

result<Reader> Reader::open(const std::string& destination, const char* name) {
  Reader reader;
  TMPDUMP_TRY(Directories directories, open_directories(destination));
  reader.directory_ = std::move(directories.own);
  TMPDUMP_TRY(reader.manifest_, map_manifest(reader.directory_.get(), name, false));
  return reader;
}

Status Reader::status() const {
  const tmpdump_manifest_header& header = *manifest_.view.header;
  Status status;
  status.alive = lock_is_held(directory_.get());
  status.state = static_cast<tmpdump_manifest_state>(tmpdump_load32(&header.state));
  status.generation = tmpdump_peek64(&header.generation);
  status.started_ns = tmpdump_peek64(&header.started_ns);
  status.listed_ns = tmpdump_peek64(&header.listed_ns);
  status.finished_ns = tmpdump_peek64(&header.finished_ns);
  status.first_wait_ns = tmpdump_peek64(&header.first_wait_ns);
  status.created_unix_ns = tmpdump_peek64(&header.created_unix_ns);
  status.pid = tmpdump_peek32(&header.pid);
  if (status.state == TMPDUMP_STATE_FAILED) {
    // Cleaned again: who writes the file may not be who we think.
    status.failure =
        Failure{code_of(tmpdump_peek32(&header.failure_code)),
                printable(text(header.reason, sizeof header.reason, tmpdump_peek32(&header.reason_size)),
                          sizeof header.reason)};
  }
  if (tmpdump_peek64(&header.entries_offset) != 0) { // written with the listing
    status.etag = text(header.etag, sizeof header.etag, tmpdump_peek32(&header.etag_size));
  }
  status.uri = text(header.uri, sizeof header.uri, tmpdump_peek32(&header.uri_size));
  for (std::size_t i = 0; i < TMPDUMP_COUNTER_COUNT; ++i)
    status.counters[i] = tmpdump_peek64(&header.counters[i]);
  return status;
}

result<EntryStatus> Reader::entry(std::uint32_t index) const {
  const tmpdump_view& view = manifest_.view;
  const Failure damaged{Errc::io, "the manifest is damaged"};
  if (index >= view.entry_count) return damaged;
  const tmpdump_manifest_entry& listed = view.entries[index];
  const tmpdump_manifest_progress& progress = view.progress[index];
  EntryStatus entry;
  std::uint32_t path_size = 0;
  const char* path = tmpdump_view_path(&view, index, &path_size);
  if (path == nullptr) return damaged;
  entry.listed.path.assign(path, path_size);
  entry.listed.kind = kind_of(tmpdump_peek32(&listed.kind));
  entry.listed.mode = tmpdump_peek32(&listed.mode);
  entry.listed.size = tmpdump_peek64(&listed.size);
  entry.listed.crc = tmpdump_peek32(&listed.crc32);
  const std::uint32_t state = tmpdump_load32(&progress.state);
  if (state > TMPDUMP_ENTRY_SUPERSEDED) return damaged;
  entry.state = static_cast<tmpdump_manifest_entry_state>(state);
  entry.first_wait_ns = tmpdump_peek64(&progress.first_wait_ns);
  if (entry.state != TMPDUMP_ENTRY_PUBLISHED) return entry;
  entry.published_ns = tmpdump_peek64(&progress.published_ns);
  entry.inode = tmpdump_peek64(&progress.file_inode);
  entry.mtime_ns = __atomic_load_n(&progress.file_mtime_ns, __ATOMIC_RELAXED);
  const std::uint32_t* list = nullptr;
  std::uint32_t count = 0;
  if (!tmpdump_view_needed(&view, index, &list, &count)) return damaged;
  entry.needs_everything = count == TMPDUMP_NEEDS_EVERYTHING;
  for (std::uint32_t i = 0; !entry.needs_everything && i < count; ++i) {
    const std::uint32_t needed = tmpdump_peek32(&list[i]);
    if (needed >= view.entry_count) return damaged;
    entry.needed.push_back(needed);
  }
  return entry;
}

std::optional<std::uint32_t> Reader::find(std::string_view path) const {
  const std::uint32_t index = tmpdump_view_find(&manifest_.view, path.data(), path.size());
  if (index == UINT32_MAX) return std::nullopt;
  return index;
}

std::uint32_t Reader::changed() const {
  return tmpdump_load32(&manifest_.view.header->changed);
}

void Reader::wait_changed(std::uint32_t seen, std::chrono::milliseconds limit) const {
  futex_wait(&manifest_.view.header->changed, seen, limit);
}

bool Reader::stale() const {
  const tmpdump_manifest_header& header = *manifest_.view.header;
  const std::uint32_t state = tmpdump_load32(&header.state);
  return state == TMPDUMP_STATE_SUPERSEDED ||
         (manifest_.view.entries == nullptr && tmpdump_peek64(&header.entries_offset) != 0 &&
          state != TMPDUMP_STATE_STARTING);
}

namespace {

result<std::optional<Previous>> read_listed(const std::string& destination, const char* name) {
  auto reader = Reader::open(destination, name);
  if (!reader.has_value() && !reader.error().lasting) return reader.error();
  if (!reader.has_value() || reader->entry_count() == 0) return std::nullopt;
  Previous previous;
  previous.status = reader->status();
  previous.entries.reserve(reader->entry_count());
  for (std::uint32_t i = 0; i < reader->entry_count(); ++i) {
    auto entry = reader->entry(i);
    if (!entry.has_value()) return std::nullopt;
    previous.entries.push_back(std::move(*entry));
  }
  return previous;
}

} // namespace

result<std::optional<Previous>> read_previous(const std::string& destination) {
  auto listed = read_listed(destination, TMPDUMP_MANIFEST_NAME);
  if (!listed || *listed) return listed;
  return read_listed(destination, TMPDUMP_MANIFEST_PREVIOUS);
}

} // namespace tmpdump::manifest
