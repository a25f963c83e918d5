// SPDX-License-Identifier: Apache-2.0
#include "prefetch/prefetch.h"

#include "prefetch/decode_stage.h"
#include "prefetch/directory_reader.h"
#include "prefetch/entry_parts.h"
#include "zip/variants.h"

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <sched.h>

namespace tmpdump::prefetch {

namespace asio = boost::asio;
using asio::awaitable;

namespace {

// 412 and its like start over with the new object, so often.
constexpr unsigned max_restarts = 3;

struct Run {
  asio::io_context& context;
  s3::ObjectSource& source;
  const output::Destination& destination;
  const Settings& settings;
  const Observer& observer;
  Progress& progress;
  Trace* trace;
  Summary summary;
  std::shared_ptr<fetch::Transfer> transfer; // of the latest attempt at the whole
};

std::vector<const zip::Entry*> select(const zip::Directory& directory, const Settings& settings) {
  std::vector<const zip::Entry*> out;
  out.reserve(directory.entries.size());
  for (const auto& entry : directory.entries) {
    if (!settings.wanted || settings.wanted(entry)) out.push_back(&entry);
  }
  std::sort(out.begin(), out.end(),
            [](const auto* a, const auto* b) { return a->local_header_offset < b->local_header_offset; });
  return out;
}

result<void> check_space(const Run& run, std::uint64_t needed) {
  if (run.settings.max_size) {
    if (needed <= *run.settings.max_size) return {};
    return Failure{Errc::no_space, run.source.display() + ": unpacks to " + std::to_string(needed) +
                                       " bytes, more than --max-size " +
                                       std::to_string(*run.settings.max_size)};
  }
  TMPDUMP_TRY(const std::uint64_t available, run.destination.free_space());
  if (needed <= available) return {};
  return Failure{Errc::no_space, run.source.display() + ": unpacks to " + std::to_string(needed) +
                                     " bytes, '" + printable(run.destination.path()) + "' has " +
                                     std::to_string(available) +
                                     " free; raise the function's ephemeral storage or shrink the archive"};
}

// Directories whose modes keep us out while they are filled, parents first.
std::vector<const zip::Entry*> closed_directories(const std::vector<const zip::Entry*>& entries) {
  std::vector<const zip::Entry*> closed;
  for (const auto* entry : entries) {
    if (entry->kind == zip::Kind::directory && (entry->mode & 0700U) != 0700U) closed.push_back(entry);
  }
  std::sort(closed.begin(), closed.end(), [](const auto* a, const auto* b) { return a->path < b->path; });
  return closed;
}

// What a predecessor closed is open to us until the end. Also what will be made: files may come before it.
result<void> open_directories(const Run& run, const std::vector<const zip::Entry*>& closed) {
  for (const auto* entry : closed) {
    if (auto opened = run.destination.open_directory(entry->path); !opened) return local(opened.error());
  }
  return {};
}

// Children before parents: a parent's mode may forbid us to go to its children. Also those that were there
// before: a predecessor may have been killed before it came to this.
result<void> close_directories(const Run& run, const std::vector<const zip::Entry*>& closed) {
  for (auto entry = closed.rbegin(); entry != closed.rend(); ++entry) {
    if (auto made = run.destination.make_directory((*entry)->path, (*entry)->mode); !made)
      return local(made.error());
  }
  return {};
}

// The end of the decode stage, told from a decoder thread to the network thread.
struct DecodeEnd {
  explicit DecodeEnd(asio::io_context& context) : happened(context) {
    happened.expires_at(Clock::time_point::max());
  }
  asio::steady_timer happened;
  std::optional<result<void>> outcome;
  std::weak_ptr<fetch::Transfer> transfer; // stopped on failure
};

awaitable<result<void>> run_once(Run& run) {
  const unsigned decoders = run.settings.decoders != 0 ? run.settings.decoders : available_cores();
  fetch::ChunkPool pool(run.context, run.settings.window);
  const auto end = std::make_shared<DecodeEnd>(run.context);
  zip::Directory directory;

  DecodeStage::Callbacks callbacks;
  std::atomic<bool> first{true};
  callbacks.published = [&](const zip::Entry& entry) -> result<void> {
    if (first.exchange(false)) run.summary.first_file = Clock::now();
    run.progress.files_done.fetch_add(1, std::memory_order_relaxed);
    if (run.observer.published) return run.observer.published(entry);
    return result<void>{};
  };
  callbacks.ended = [end, &context = run.context](result<void> outcome) {
    asio::post(context, [end, outcome = std::move(outcome)] {
      end->outcome = outcome;
      if (const auto running = end->transfer.lock(); running && !outcome) running->cancel(outcome.error());
      end->happened.cancel();
    });
  };
  callbacks.kept = [&pool](std::int64_t bytes) { pool.keep(bytes); };
  // Destroyed before what its threads and the callbacks use; its own destructor joins them.
  DecodeStage stage(decoders, std::move(callbacks), run.trace);
  DirectoryReader reader;
  fetch::TransferOptions options;
  options.connections = run.settings.connections.value_or(fetch::max_default_connections);
  options.retry = run.settings.retry;
  options.hedge = run.settings.hedge;
  const auto transfer = std::make_shared<fetch::Transfer>(
      run.context, run.source, pool, options,
      [&](fetch::Piece piece) {
        if (run.summary.first_byte == Clock::time_point{}) run.summary.first_byte = Clock::now();
        run.progress.received.fetch_add(piece.bytes.size(), std::memory_order_relaxed);
        if (run.observer.received) run.observer.received(piece.bytes.size());
        if (!reader.deliver(piece)) stage.add(std::move(piece));
      },
      run.trace);
  end->transfer = transfer;
  run.transfer = transfer;
  // Whatever way out: no coroutine of the transfer may deliver into what is being destroyed.
  const auto stop = [&](void*) {
    transfer->cancel({Errc::cancelled, "stopped"});
    stage.stop();
    run.summary.received += transfer->counters().bytes;
    run.summary.retries += transfer->counters().retries;
    run.summary.hedges += transfer->counters().hedges;
  };
  const std::unique_ptr<void, decltype(stop)> guard(&run, stop);

  const bool speculate = run.settings.speculate && !run.settings.wanted;
  const auto front = speculate ? fetch::speculative_front() : std::vector<fetch::Slice>{};
  zip::Limits limits;
  limits.max_entries = run.settings.max_entries;
  auto read = co_await reader.read(*transfer, front, limits, run.source.display());
  if (!read) co_return read.error();
  directory = std::move(*read);
  if (auto tail = reader.tail(); !tail.bytes.empty()) stage.add(std::move(tail));
  if (run.settings.cpu) {
    auto chosen = zip::choose_variants(std::move(directory), *run.settings.cpu);
    if (!chosen) co_return chosen.error().within(run.source.display());
    directory = std::move(*chosen);
  }
  run.summary.directory_known = Clock::now();
  run.summary.etag = reader.object().etag;
  run.summary.archive_size = reader.object().size;

  auto wanted = select(directory, run.settings);
  const auto closed = closed_directories(wanted);
  if (run.observer.directory) {
    TMPDUMP_CO_TRY(wanted, run.observer.directory(reader.object(), directory, std::move(wanted)));
  }
  std::uint64_t unpacked = 0;
  std::vector<fetch::Region> regions;
  regions.reserve(wanted.size());
  std::uint64_t expected = 0;
  for (const auto* entry : wanted) {
    unpacked += entry->size;
    expected += entry->region_end - entry->local_header_offset;
    for (const auto& part : parts_of(*entry))
      regions.push_back({part.begin, part.end, decode_cost(*entry, part)});
  }
  TMPDUMP_CO_CHECK(check_space(run, unpacked));
  run.progress.files_wanted = wanted.size();
  run.progress.expected = expected;
  if (!wanted.empty()) TMPDUMP_CO_CHECK(open_directories(run, closed));
  const std::uint64_t short_chain = 2 * run.settings.range_size; // decodes in about 20 ms
  stage.set_entries(wanted, run.destination, short_chain);
  transfer->abandon_unless([&](fetch::Slice slice) {
    const auto region = std::partition_point(regions.begin(), regions.end(),
                                             [&](const auto& r) { return r.end <= slice.offset; });
    return region != regions.end() && region->begin < slice.offset + slice.length;
  });
  fetch::PlanOptions plan;
  const auto asked = transfer->asked();
  plan.connections = run.settings.connections.value_or(
      fetch::choose_connections(reader.object().size, run.settings.range_size, asked.size()));
  if (!run.settings.connections) transfer->set_connections(plan.connections);
  plan.range_size = run.settings.range_size;
  plan.short_chain = short_chain;
  transfer->add(fetch::plan_ranges(regions, asked, plan));

  auto drained = co_await transfer->drain();
  if (!drained) co_return drained.error();
  stage.input_ended();
  while (!end->outcome) {
    boost::system::error_code ignored;
    co_await end->happened.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    if ((co_await asio::this_coro::cancellation_state).cancelled() != asio::cancellation_type::none) {
      co_return Failure{Errc::cancelled, "stopped"};
    }
  }
  if (!*end->outcome) co_return end->outcome->error();
  TMPDUMP_CO_CHECK(close_directories(run, closed));
  run.summary.ready = Clock::now();
  run.summary.unpacked = unpacked;
  for (const auto* entry : wanted) {
    auto& count = entry->kind == zip::Kind::file      ? run.summary.files
                  : entry->kind == zip::Kind::symlink ? run.summary.symlinks
                                                      : run.summary.directories;
    ++count;
  }
  co_return result<void>{};
}

} // namespace

unsigned available_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return std::max(1U, static_cast<unsigned>(CPU_COUNT(&set)));
}

awaitable<result<Summary>> prefetch(asio::io_context& context, s3::ObjectSource& source,
                                    const output::Destination& destination, const Settings& settings,
                                    const Observer& observer, Progress& progress, Trace* trace) {
  Run run{context, source, destination, settings, observer, progress, trace, {}, {}};
  run.summary.started = Clock::now();
  // Also when cancellation throws out of here: an idle connection's timer would keep the io_context busy.
  const auto close = [&](void*) { source.close_idle(); };
  const std::unique_ptr<void, decltype(close)> guard(&run, close);
  for (;;) {
    auto outcome = co_await run_once(run);
    co_await run.transfer->join(); // who called us may let go of the source once we return
    if (!outcome && outcome.error().code == Errc::changed && run.summary.restarts < max_restarts) {
      ++run.summary.restarts;
      progress.received = 0;
      progress.files_done = 0;
      continue;
    }
    if (!outcome) co_return outcome.error();
    break;
  }
  run.summary.connected = source.first_connected();
  run.summary.requests = source.requests();
  run.summary.connections = source.connections();
  co_return run.summary;
}

awaitable<result<zip::Directory>> list(asio::io_context& context, s3::ObjectSource& source,
                                       const Settings& settings) {
  fetch::ChunkPool pool(context, settings.window);
  DirectoryReader reader;
  fetch::TransferOptions options;
  options.retry = settings.retry;
  options.hedge = settings.hedge;
  fetch::Transfer transfer(
      context, source, pool, options, [&](const fetch::Piece& piece) { reader.deliver(piece); }, nullptr);
  zip::Limits limits;
  limits.max_entries = settings.max_entries;
  auto directory = co_await reader.read(transfer, {}, limits, source.display());
  source.close_idle();
  co_return directory;
}

} // namespace tmpdump::prefetch
