// SPDX-License-Identifier: Apache-2.0
#include "manifest/writer.h"

#include "manifest/dependencies.h"
#include "manifest/generation.h"
#include "manifest/inspect.h"
#include "manifest/words.h"
#include "printable.h"

#include <algorithm>
#include <atomic>
#include <unistd.h>
#include <unordered_map>

namespace tmpdump::manifest {

struct Writer::State {
  std::string destination;
  std::string uri;
  Directories directories;
  UniqueFd lock;
  std::optional<Previous> previous;

  // The current generation.
  UniqueFd file;
  Mapping header_mapping; // count() uses it while set_listing() makes the other one
  Mapping mapping;        // the whole, once listed
  tmpdump_view view{};
  std::uint32_t* needed_list = nullptr; // view.needed, for writing
  std::vector<ListedEntry> entries;
  std::optional<Dependencies> dependencies; // refers to `entries`
  std::atomic<std::uint64_t> needed_used{0};
  std::atomic<std::uint64_t> published{0};
  bool ended = false;

  [[nodiscard]] tmpdump_manifest_header& header() const {
    return *static_cast<tmpdump_manifest_header*>(header_mapping.base());
  }
  [[nodiscard]] std::string place() const {
    return "'" + printable(destination) + "/" TMPDUMP_MANIFEST_DIRECTORY "'";
  }
  result<void> begin_generation(std::uint64_t number);
  [[nodiscard]] bool keeps(std::string_view etag) const {
    return previous && !etag.empty() && previous->status.etag == etag;
  }
  [[nodiscard]] std::vector<std::uint32_t> publish_kept(std::string_view etag);
  [[nodiscard]] std::vector<std::uint32_t> needed_by(std::uint32_t index, const Facts& facts,
                                                     bool& everything) const;
  bool publish(std::uint32_t index, const Facts& facts);
};

result<void> Writer::State::begin_generation(std::uint64_t number) {
  const tmpdump_manifest_header* run = header_mapping.base() != nullptr ? &header() : nullptr;
  auto begun = manifest::begin_generation(directories, number, uri, run);
  if (!begun) return begun.error().within(place());
  Generation next = std::move(*begun);
  file = std::move(next.file);
  header_mapping = std::move(next.header);
  mapping = Mapping();
  view = {};
  view.header = &header();
  view.size = TMPDUMP_MANIFEST_HEADER_SIZE;
  needed_list = nullptr;
  dependencies.reset();
  entries.clear();
  needed_used = 0;
  published = 0;
  ended = false;
  return {};
}

result<Writer> Writer::create(const std::string& destination, std::string_view uri) {
  auto state = std::make_unique<State>();
  state->destination = destination;
  state->uri = printable(uri, sizeof state->header().uri);
  TMPDUMP_TRY(auto claimed, claim(destination));
  state->directories = std::move(claimed.directories);
  state->lock = std::move(claimed.lock);
  TMPDUMP_TRY(state->previous, read_previous(destination));
  std::uint64_t generation = 1;
  const auto last = Reader::open(destination);
  if (!last.has_value() && !last.error().lasting) return last.error();
  if (last.has_value()) generation = last->status().generation + 1;
  TMPDUMP_CHECK(state->begin_generation(generation));
  return Writer(std::move(state));
}

result<void> Writer::restart() {
  const std::uint64_t generation = state_->header().generation + 1;
  state_->previous.reset(); // of another object
  return state_->begin_generation(generation);
}

result<std::vector<std::uint32_t>> Writer::set_listing(std::string_view etag,
                                                       std::vector<ListedEntry> entries) {
  State& state = *state_;
  if (state.view.entries != nullptr || state.ended) {
    return Failure{Errc::io, "the manifest has its listing already"};
  }
  tmpdump_manifest_header plan{};
  plan.generation = state.header().generation;
  TMPDUMP_CHECK(plan_listing(entries, plan));
  if (const auto room = allocate(state.file.get(), plan.file_size); !room)
    return room.error().within(state.place());
  TMPDUMP_TRY(state.mapping, Mapping::map(state.file.get(), static_cast<std::size_t>(plan.file_size), true));
  write_listing(entries, plan, state.mapping.base());

  tmpdump_manifest_header& header = state.header();
  header.file_size = plan.file_size;
  header.entry_count = plan.entry_count;
  header.slot_count = plan.slot_count;
  header.progress_offset = plan.progress_offset;
  header.slots_offset = plan.slots_offset;
  header.needed_offset = plan.needed_offset;
  header.strings_offset = plan.strings_offset;
  header.strings_size = plan.strings_size;
  header.needed_capacity = plan.needed_capacity;
  header.listing_hash = plan.listing_hash;
  // One that does not fit could be mistaken for another: it is as if there were none.
  if (etag.size() <= sizeof header.etag) header.etag_size = set_text(header.etag, sizeof header.etag, etag);
  store(header.entries_offset, plan.entries_offset);

  auto* base = static_cast<unsigned char*>(state.mapping.base());
  state.entries = std::move(entries);
  state.dependencies.emplace(state.entries);
  state.view.size = plan.file_size;
  state.view.entry_count = plan.entry_count;
  state.view.slot_count = plan.slot_count;
  state.view.needed_capacity = plan.needed_capacity;
  state.view.strings_size = plan.strings_size;
  state.view.entries = reinterpret_cast<const tmpdump_manifest_entry*>(base + plan.entries_offset);
  state.view.progress = reinterpret_cast<tmpdump_manifest_progress*>(base + plan.progress_offset);
  state.view.slots = reinterpret_cast<const tmpdump_manifest_slot*>(base + plan.slots_offset);
  state.needed_list = reinterpret_cast<std::uint32_t*>(base + plan.needed_offset);
  state.view.needed = state.needed_list;
  state.view.strings = reinterpret_cast<const char*>(base + plan.strings_offset);

  std::uint64_t bytes = 0;
  for (const ListedEntry& entry : state.entries)
    bytes += entry.size;
  store(header.counters[TMPDUMP_COUNTER_FILES_TOTAL], std::uint64_t{state.entries.size()});
  store(header.counters[TMPDUMP_COUNTER_BYTES_TOTAL], bytes);
  // Before the state: a kill in between leaves the predecessor's listing as the last one, complete.
  auto kept = state.publish_kept(etag);
  store(header.counters[TMPDUMP_COUNTER_FILES_KEPT], std::uint64_t{kept.size()});
  store(header.listed_ns, clock_ns(CLOCK_MONOTONIC));
  release(header.state, TMPDUMP_STATE_LISTED);
  futex_wake_all(&header.state);
  announce_change(header);
  return kept;
}

std::vector<std::uint32_t> Writer::State::publish_kept(std::string_view etag) {
  std::vector<std::uint32_t> kept;
  if (!keeps(etag)) return kept;
  std::unordered_map<std::string_view, const EntryStatus*> before;
  for (const EntryStatus& entry : previous->entries) {
    if (entry.state == TMPDUMP_ENTRY_PUBLISHED) before.emplace(entry.listed.path, &entry);
  }
  for (std::uint32_t i = 0; i < entries.size(); ++i) {
    const auto found = before.find(entries[i].path);
    if (found == before.end()) continue;
    const EntryStatus& was = *found->second;
    if (was.listed != entries[i]) continue;
    const auto facts = inspect(directories.destination.get(), entries[i]);
    if (!facts.has_value() || facts->inode != was.inode) continue;
    // A directory's time changes with every file in it.
    if (entries[i].kind != zip::Kind::directory && facts->mtime_ns != was.mtime_ns) continue;
    if (publish(i, *facts)) kept.push_back(i);
  }
  return kept;
}

std::vector<std::uint32_t> Writer::State::needed_by(std::uint32_t index, const Facts& facts,
                                                    bool& everything) const {
  everything = false;
  if (entries[index].kind == zip::Kind::file) return dependencies->of_library(index, facts.needed);
  if (entries[index].kind == zip::Kind::directory) return {};
  auto target = dependencies->of_link(index, facts.link_target);
  everything = !target.has_value();
  return std::move(target).value_or(std::vector<std::uint32_t>{});
}

bool Writer::State::publish(std::uint32_t index, const Facts& facts) {
  tmpdump_manifest_progress& progress = view.progress[index];
  bool everything = false;
  const std::vector<std::uint32_t> needed = needed_by(index, facts, everything);
  auto count = static_cast<std::uint32_t>(needed.size());
  std::uint32_t first = 0;
  std::uint32_t* list = nullptr;
  if (!everything && count > 0) {
    const std::uint64_t at = needed_used.fetch_add(count, std::memory_order_relaxed);
    everything = at + count > view.needed_capacity;
    if (!everything) {
      first = static_cast<std::uint32_t>(at);
      list = needed_list + first;
      for (std::uint32_t i = 0; i < count; ++i)
        store(list[i], needed[i]);
    }
  }
  if (everything) count = TMPDUMP_NEEDS_EVERYTHING;
  store(progress.needed_first, first);
  store(progress.needed_count, count);
  store(progress.needed_check, tmpdump_manifest_needed_check(first, count, list));
  store(progress.file_mtime_ns, facts.mtime_ns);
  store(progress.file_inode, facts.inode);
  store(progress.published_ns, clock_ns(CLOCK_MONOTONIC));
  if (!release_from(progress.state, TMPDUMP_ENTRY_PENDING, TMPDUMP_ENTRY_PUBLISHED)) return false;
  futex_wake_all(&progress.state);
  add(header().counters[TMPDUMP_COUNTER_FILES_PUBLISHED], std::uint64_t{1});
  add(header().counters[TMPDUMP_COUNTER_BYTES_PUBLISHED], entries[index].size);
  published.fetch_add(1, std::memory_order_release);
  announce_change(header());
  return true;
}

result<void> Writer::publish(std::uint32_t index) {
  State& state = *state_;
  if (index >= state.entries.size()) return Failure{Errc::io, "no such entry in the manifest"};
  TMPDUMP_TRY(const Facts facts, inspect(state.directories.destination.get(), state.entries[index]));
  state.publish(index, facts);
  return {};
}

result<void> Writer::ready() {
  State& state = *state_;
  if (state.ended) return {};
  const std::uint64_t missing = state.entries.size() - state.published.load(std::memory_order_acquire);
  if (state.view.entries == nullptr || missing != 0) {
    return Failure{Errc::io,
                   "the manifest is not complete: " + std::to_string(missing) + " files are missing"};
  }
  state.ended = true;
  store(state.header().finished_ns, clock_ns(CLOCK_MONOTONIC));
  release(state.header().state, TMPDUMP_STATE_READY);
  futex_wake_all(&state.header().state);
  announce_change(state.header());
  // Every file is in this generation's listing now. Absent in the first place is fine.
  ::unlinkat(state.directories.own.get(), TMPDUMP_MANIFEST_PREVIOUS, 0);
  return {};
}

void Writer::fail(const Failure& failure) {
  State& state = *state_;
  if (state.ended) return;
  state.ended = true;
  tmpdump_manifest_header& header = state.header();
  // No quotes to undo: messages are made of printable parts already; this stops what slipped through.
  header.reason_size = set_text(header.reason, sizeof header.reason, failure.message);
  for (std::size_t i = 0; i < header.reason_size;) {
    const auto shown = tmpdump_printable_length(header.reason + i, header.reason_size - i);
    if (shown == 0) header.reason[i] = '?';
    i += std::max<std::size_t>(shown, 1);
  }
  header.failure_code = static_cast<std::uint32_t>(failure.code);
  store(header.finished_ns, clock_ns(CLOCK_MONOTONIC));
  end_generation(state.view, TMPDUMP_STATE_FAILED, TMPDUMP_ENTRY_FAILED);
}

void Writer::keep_only_the_lock() {
  State& state = *state_;
  if (!state.ended) return;
  state.view = {};
  state.view.header = &state.header();
  state.view.size = TMPDUMP_MANIFEST_HEADER_SIZE;
  state.needed_list = nullptr;
  state.dependencies.reset();
  state.mapping = Mapping();
  state.file = UniqueFd();
  std::vector<ListedEntry>().swap(state.entries);
  state.previous.reset();
}

bool Writer::wanted(std::uint32_t index) const {
  const State& state = *state_;
  if (index >= state.entries.size()) return false;
  const tmpdump_manifest_progress& progress = state.view.progress[index];
  return tmpdump_peek64(&progress.first_wait_ns) != 0 &&
         tmpdump_peek32(&progress.state) == TMPDUMP_ENTRY_PENDING;
}

void Writer::count(tmpdump_manifest_counter counter, std::uint64_t more) {
  add(state_->header().counters[counter], more);
}

std::uint64_t Writer::generation() const {
  return state_->header().generation;
}

const std::optional<Previous>& Writer::previous() const {
  return state_->previous;
}

bool Writer::keeps(std::string_view etag) const {
  return state_->keeps(etag);
}

Writer::Writer(std::unique_ptr<State> state) : state_(std::move(state)) {}
Writer::Writer(Writer&&) noexcept = default;
Writer& Writer::operator=(Writer&&) noexcept = default;
Writer::~Writer() = default;

} // namespace tmpdump::manifest
