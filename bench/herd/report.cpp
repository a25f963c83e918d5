// SPDX-License-Identifier: Apache-2.0
#include "herd/report.h"

#include <array>
#include <cmath>
#include <cstdio>
#include <limits>

namespace tmpdump::herd {

namespace {

constexpr double infinite = std::numeric_limits<double>::infinity();
constexpr double init_limit = 10;

std::vector<double> sorted_times(const Result& result) {
  std::vector<double> times;
  times.reserve(result.outcomes.size());
  for (const auto& outcome : result.outcomes)
    times.push_back(outcome.ready ? outcome.seconds : infinite);
  std::sort(times.begin(), times.end());
  return times;
}

double at(const std::vector<double>& times, double part) {
  const double value = times[static_cast<std::size_t>(part * static_cast<double>(times.size() - 1))];
  return std::isinf(value) ? -1 : value;
}

std::string text(const char* format, double a, double b) {
  std::array<char, 160> line{};
  static_cast<void>(std::snprintf(line.data(), line.size(), format, a, b));
  return line.data();
}

} // namespace

Figures figures(const Result& result) {
  const auto times = sorted_times(result);
  Figures out;
  out.fastest = at(times, 0);
  out.median = at(times, 0.5);
  out.p90 = at(times, 0.9);
  out.p99 = at(times, 0.99);
  out.slowest = at(times, 1);
  for (const auto& outcome : result.outcomes) {
    out.gave_up += outcome.ready ? 0 : 1;
    out.past_init += outcome.ready && outcome.seconds <= init_limit ? 0 : 1;
    out.requests += outcome.requests;
    out.refused += outcome.refused;
    out.hedges += outcome.hedges;
    out.connections += outcome.connections;
    out.mean_seconds += outcome.seconds;
  }
  for (const auto& prefix : result.admitted)
    out.billed += static_cast<double>(prefix.size());
  const auto starts = static_cast<double>(result.outcomes.size());
  for (double* sum : {&out.gave_up, &out.past_init, &out.requests, &out.refused, &out.hedges,
                      &out.connections, &out.billed, &out.mean_seconds})
    *sum /= starts;
  return out;
}

std::string row(const std::string& name, const Setup& setup, const Result& result, bool express) {
  const Figures f = figures(result);
  const auto ready = [](double value) { return value < 0 ? std::string("-") : text("%.2f", value, 0); };
  const double gets = express ? f.billed * price_of_an_express_get +
                                    static_cast<double>(setup.workload.size) / 1e9 * price_of_an_express_gb
                              : f.billed * price_of_a_get;
  return "| " + name + " | " + ready(f.median) + " | " + ready(f.p99) + " | " + ready(f.slowest) +
         text(" | %.1f %% | %.1f |", f.gave_up * 100, f.requests) +
         text(" %.1f | %.2f |", f.refused, f.hedges) +
         text(" %.4f | %.4f |", gets * 1000, f.mean_seconds * memory_gb * price_of_a_gb_second * 1000);
}

// Time on a logarithmic axis from 0.1 to 100 s; a curve that ends below the top: the others gave up.
std::string plot(const std::vector<std::pair<std::string, Result>>& lines) {
  constexpr double left = 60, top = 20, width = 620, height = 320;
  constexpr std::array<const char*, 6> colours{"#1b6ca8", "#2a9d8f", "#8ab17d",
                                               "#e9c46a", "#e76f51", "#7b2cbf"};
  const auto x = [](double seconds) {
    return left + width * (std::log10(std::clamp(seconds, 0.1, 100.0)) + 1) / 3;
  };
  const auto y = [](double share) { return top + height * (1 - share); };
  std::string out =
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 860 400\" font-family=\"sans-serif\" "
      "font-size=\"13\">\n<rect width=\"860\" height=\"400\" fill=\"#fff\"/>\n";
  for (const double seconds : {0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0}) {
    out += text("<path d=\"M%.1f 20V340\" stroke=\"#ddd\"/>", x(seconds), 0);
    out += text("<text x=\"%.1f\" y=\"358\" text-anchor=\"middle\">%g</text>\n", x(seconds), seconds);
  }
  for (const double share : {0.0, 0.25, 0.5, 0.75, 1.0}) {
    out += text("<path d=\"M60 %.1fH680\" stroke=\"#ddd\"/>", y(share), 0);
    out += text("<text x=\"52\" y=\"%.1f\" text-anchor=\"end\">%g %%</text>\n", y(share) + 4, share * 100);
  }
  out += text("<path d=\"M%.1f 20V340\" stroke=\"#c00\" stroke-dasharray=\"4\"/>\n", x(init_limit), 0);
  out +=
      "<text x=\"370\" y=\"385\" text-anchor=\"middle\">seconds from a start's begin to ready (red: INIT is "
      "killed)</text>\n";
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::string colour = colours[i % colours.size()];
    const auto times = sorted_times(lines[i].second);
    out += "<polyline fill=\"none\" stroke-width=\"2\" stroke=\"" + colour + "\" points=\"";
    constexpr int points = 200;
    for (int point = 0; point <= points; ++point) {
      const double share = static_cast<double>(point) / points;
      const double seconds = at(times, share);
      if (seconds >= 0) out += text("%.1f,%.1f ", x(seconds), y(share));
    }
    out += "\"/>\n" + text("<text x=\"692\" y=\"%.0f\"", 40 + 20 * static_cast<double>(i), 0) + " fill=\"" +
           colour + "\">" + lines[i].first + "</text>\n";
  }
  return out + "</svg>\n";
}

} // namespace tmpdump::herd
