// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "prefetch/prefetch.h"

#include <chrono>
#include <cstdio>
#include <string>

namespace tmpdump::cli {

// What the bar shows at one moment.
struct ProgressView {
  std::uint64_t received = 0, expected = 0; // bytes of the archive; expected 0: not known yet
  std::uint64_t files_done = 0, files_wanted = 0;
  double seconds = 0;
};

// One line of at most `width` columns, without line end. Pure.
std::string render_progress(const ProgressView& view, unsigned width);

// Draws to a terminal ten times a second in place, or writes a plain line a second elsewhere.
class ProgressBar {
public:
  // `out` must outlive the bar.
  ProgressBar(std::FILE* out, const prefetch::Progress& progress);
  // Call at interval(); draws.
  void tick();
  [[nodiscard]] std::chrono::milliseconds interval() const;
  // Takes the bar off the terminal.
  void clear();

private:
  [[nodiscard]] ProgressView view() const;
  std::FILE* out_;
  const prefetch::Progress& progress_;
  bool terminal_;
  bool drawn_ = false;
  prefetch::Clock::time_point started_;
};

} // namespace tmpdump::cli
