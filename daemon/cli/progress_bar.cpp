// SPDX-License-Identifier: Apache-2.0
#include "cli/progress_bar.h"

#include "cli/size.h"

#include <algorithm>
#include <sys/ioctl.h>
#include <unistd.h>

namespace tmpdump::cli {

namespace {

constexpr unsigned default_width = 80;
constexpr unsigned max_bar = 30;
constexpr unsigned min_bar = 8;

unsigned terminal_width(std::FILE* out) {
  winsize size{};
  if (ioctl(fileno(out), TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return default_width;
  return size.ws_col;
}

} // namespace

std::string render_progress(const ProgressView& view, unsigned width) {
  const double rate = view.seconds > 0 ? static_cast<double>(view.received) / view.seconds : 0;
  std::string text = format_size(view.received);
  if (view.expected > 0) {
    text += " of " + format_size(view.expected);
    text += "  " + std::to_string(view.files_done) + "/" + std::to_string(view.files_wanted) + " files";
  }
  text += "  " + format_size(static_cast<std::uint64_t>(rate)) + "/s";
  if (view.expected > view.received && rate > 0) {
    text += "  ETA " + format_seconds(static_cast<double>(view.expected - view.received) / rate);
  }
  const auto room =
      static_cast<unsigned>(std::max(0, static_cast<int>(width) - static_cast<int>(text.size()) - 9));
  if (view.expected == 0 || room < min_bar) return text.substr(0, width);
  const double part = std::min(1.0, static_cast<double>(view.received) / static_cast<double>(view.expected));
  const unsigned bar = std::min(room, max_bar);
  const auto full = static_cast<unsigned>(part * bar);
  std::string line = "[" + std::string(full, '#') + std::string(bar - full, '.') + "] ";
  const std::string percent = std::to_string(static_cast<unsigned>(part * 100));
  line += std::string(3 - std::min<std::size_t>(3, percent.size()), ' ') + percent + "% ";
  return line + text;
}

ProgressBar::ProgressBar(std::FILE* out, const prefetch::Progress& progress)
    : out_(out), progress_(progress), terminal_(isatty(fileno(out)) == 1), started_(prefetch::Clock::now()) {}

std::chrono::milliseconds ProgressBar::interval() const {
  return terminal_ ? std::chrono::milliseconds(100) : std::chrono::milliseconds(1000);
}

ProgressView ProgressBar::view() const {
  return {progress_.received, progress_.expected, progress_.files_done, progress_.files_wanted,
          std::chrono::duration<double>(prefetch::Clock::now() - started_).count()};
}

void ProgressBar::tick() {
  if (terminal_) {
    // Return to column 0, draw, erase what is left of the line before.
    (void)std::fprintf(out_, "\r%s\x1b[K", render_progress(view(), terminal_width(out_) - 1).c_str());
    drawn_ = true;
  } else {
    (void)std::fprintf(out_, "%s\n", render_progress(view(), default_width).c_str());
  }
  (void)std::fflush(out_);
}

void ProgressBar::clear() {
  if (!drawn_) return;
  (void)std::fputs("\r\x1b[K", out_);
  (void)std::fflush(out_);
  drawn_ = false;
}

} // namespace tmpdump::cli
