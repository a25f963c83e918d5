// SPDX-License-Identifier: Apache-2.0
// Figures of a simulation, and how they are shown.
#pragma once

#include "herd/simulation.h"

#include <string>
#include <utility>
#include <vector>

namespace tmpdump::herd {

// Of all starts; who gave up counts as later than anybody. Seconds; below 0: so many gave up that there is
// none.
struct Figures {
  double fastest = 0, median = 0, p90 = 0, p99 = 0, slowest = 0;
  double gave_up = 0;   // share of all starts
  double past_init = 0; // share that was not ready when INIT's 10 s were over
  double requests = 0, refused = 0, hedges = 0, connections = 0; // a start
  double billed = 0; // GETs a start that S3 answered and charges for
  double mean_seconds = 0;
};
Figures figures(const Result& result);

// Prices of us-east-1, dollars.
inline constexpr double price_of_a_get = 0.0004 / 1000;
inline constexpr double price_of_an_express_get = 0.00003 / 1000;
inline constexpr double price_of_an_express_gb = 0.0006;
inline constexpr double price_of_a_gb_second = 0.0000166667; // Lambda, x86
inline constexpr double memory_gb = 1.769;                   // one vCPU

// A line of README.md's tables: seconds to ready, GETs, 503s and hedges of one start, dollars of 1,000
// starts.
std::string row(const std::string& name, const Setup& setup, const Result& result, bool express = false);

// Cumulative distribution of time to ready, one line a result, as a self-contained SVG.
std::string plot(const std::vector<std::pair<std::string, Result>>& lines);

} // namespace tmpdump::herd
