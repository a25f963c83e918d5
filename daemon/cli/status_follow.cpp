// SPDX-License-Identifier: Apache-2.0
#include "cli/status_follow.h"

#include "cli/size.h"
#include "cli/status_text.h"

#include <algorithm>
#include <cerrno>
#include <sys/ioctl.h>
#include <unistd.h>

namespace tmpdump::cli {

namespace {

using Clock = std::chrono::steady_clock;

// Files may come by the thousand a second; more pictures than this nobody sees, and each costs a look at all
// entries (1 ms for 5000) on cores that the daemon needs.
constexpr std::chrono::milliseconds frame_interval{50};
// A daemon that dies changes nothing: how often its lock is looked at, as in proto/manifest.md.
constexpr std::chrono::milliseconds liveness_slice{100};

constexpr unsigned default_rows = 24;

unsigned terminal_rows(std::FILE* out) {
  winsize size{};
  if (::ioctl(::fileno(out), TIOCGWINSZ, &size) != 0 || size.ws_row < 2) return default_rows;
  return size.ws_row;
}

std::string to_begin_of(unsigned lines) {
  // Up, to column 0.
  return lines == 0 ? "\r" : "\x1b[" + std::to_string(lines) + "A\r";
}

} // namespace

Follower::Follower(std::string destination, std::FILE* out)
    : destination_(std::move(destination)), out_(out), terminal_(::isatty(::fileno(out)) == 1) {}

result<void> Follower::run() {
  std::int64_t shown = -1; // the change that is on the screen; -1: none
  Clock::time_point due = Clock::now();
  for (;;) {
    if (!reader_ || reader_->stale()) {
      TMPDUMP_TRY(reader_, open_current(destination_));
      shown = -1;
    }
    // Remembered before the look: a change in between ends the sleep at once.
    const std::uint32_t seen = reader_->changed();
    if (reader_->stale()) continue;
    const manifest::Status status = reader_->status();
    if (status.state == TMPDUMP_STATE_SUPERSEDED) continue;
    const bool ended = has_ended(status);
    const auto now = Clock::now();
    // On a terminal the counters move too; their changes wake nobody.
    const bool worth_it = ended || ((terminal_ || shown != seen) && now >= due);
    if (worth_it) {
      TMPDUMP_CHECK(show(status));
      shown = seen;
      due = now + frame_interval;
    }
    if (ended) return verdict(destination_, status);
    const auto rest = std::chrono::ceil<std::chrono::milliseconds>(due - now);
    reader_->wait_changed(seen, shown == seen ? liveness_slice : std::min(rest, liveness_slice));
  }
}

result<void> Follower::show(const manifest::Status& status) {
  TMPDUMP_TRY(const std::string text, terminal_ ? frame() : lines(status));
  if (std::fwrite(text.data(), 1, text.size(), out_) != text.size() || std::fflush(out_) != 0) {
    return system_failure("write the status", errno);
  }
  return {};
}

result<std::string> Follower::frame() {
  TMPDUMP_TRY(const Snapshot snapshot, take_snapshot(destination_, *reader_));
  const std::string clear = to_begin_of(drawn_) + "\x1b[J"; // to the end of the screen
  if (has_ended(snapshot.status)) return clear + render_status(snapshot);
  const std::string text = render_live(snapshot, terminal_rows(out_) - 1);
  drawn_ = static_cast<unsigned>(std::count(text.begin(), text.end(), '\n'));
  // Without automatic margins: a long name must not take two lines.
  return "\x1b[?7l" + clear + text + "\x1b[?7h";
}

result<std::string> Follower::lines(const manifest::Status& status) {
  const auto* const counters = status.counters;
  std::string text;
  if (generation_ != status.generation) {
    text += (generation_ ? "starting over: generation " : "following: generation ") +
            std::to_string(status.generation) + " of " + printable(destination_, destination_.size()) +
            " from " + printable(status.uri, status.uri.size()) + ", pid " + std::to_string(status.pid) +
            "\n";
    generation_ = status.generation;
    listed_ = false;
    missing_.clear();
  }
  if (!listed_ && reader_->entry_count() > 0) {
    text += "listed after " + format_since(status, status.listed_ns) + ": " +
            std::to_string(reader_->entry_count()) + " entries, " +
            format_size(counters[TMPDUMP_COUNTER_BYTES_TOTAL]) + "\n";
    listed_ = true;
    for (std::uint32_t i = 0; i < reader_->entry_count(); ++i)
      missing_.push_back(i);
  }
  TMPDUMP_TRY(const std::string arrived, arrivals(status));
  text += arrived;
  if (has_ended(status)) {
    text += has_died(status)
                ? "died"
                : std::string(name(status.state)) + " after " + format_since(status, status.finished_ns);
    text += ": " + std::to_string(counters[TMPDUMP_COUNTER_FILES_PUBLISHED]) + " of " +
            std::to_string(counters[TMPDUMP_COUNTER_FILES_TOTAL]) + " entries, " +
            format_size(counters[TMPDUMP_COUNTER_BYTES_RECEIVED]) + " received\n";
  }
  return text;
}

result<std::string> Follower::arrivals(const manifest::Status& status) {
  std::vector<manifest::EntryStatus> arrived;
  std::vector<std::uint32_t> missing;
  for (const std::uint32_t index : missing_) {
    TMPDUMP_TRY(auto entry, reader_->entry(index));
    if (entry.state == TMPDUMP_ENTRY_PUBLISHED) {
      arrived.push_back(std::move(entry));
    } else {
      missing.push_back(index);
    }
  }
  missing_ = std::move(missing);
  std::stable_sort(arrived.begin(), arrived.end(), [](const auto& left, const auto& right) {
    return left.published_ns < right.published_ns;
  });
  std::string text;
  for (const manifest::EntryStatus& entry : arrived)
    text += render_arrival(status, entry);
  return text;
}

} // namespace tmpdump::cli
