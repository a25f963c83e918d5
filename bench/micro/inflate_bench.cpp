// SPDX-License-Identifier: Apache-2.0
// bench_inflate ARCHIVE [ENTRIES [ROUNDS]]: what the engines make of the archive's largest deflated entries,
// in MB/s of output, without CRC and without writing. Streamed as the daemon does it, 256 KiB in and 256 KiB
// out; libdeflate, which knows no streams, gets all at once. Every output is verified.
#include "decode/engines.h"
#include "zip/directory.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iterator>
#include <libdeflate.h>
#include <stdexcept>
#include <vector>

namespace {

using namespace tmpdump;
using Clock = std::chrono::steady_clock;

constexpr std::size_t piece = std::size_t{256} * 1024;

struct Stream {
  std::string name;
  Bytes bytes;
  std::uint64_t size = 0;
  std::uint32_t crc = 0;
};

struct Timed {
  double seconds = 0;
  std::uint32_t crc = 0;
};

struct Candidate {
  std::string name;
  std::function<Timed(const Stream&)> run;
  std::vector<double> seconds;
};

// Times what `work` does, and checksums outside of that time.
class Stopwatch {
public:
  template <class Work>
  auto operator()(Work work) {
    const auto begin = Clock::now();
    auto result = work();
    sum_ += Clock::now() - begin;
    return result;
  }
  [[nodiscard]] double seconds() const { return std::chrono::duration<double>(sum_).count(); }

private:
  Clock::duration sum_{};
};

Timed stream_through(decode::Decoder& decoder, const Stream& stream) {
  static std::vector<std::byte> out(piece);
  Stopwatch watch;
  Timed timed;
  std::size_t at = 0, fill = 0;
  for (bool finished = false; !finished;) {
    Bytes in = stream.bytes.subspan(at, std::min(piece, stream.bytes.size() - at));
    if (in.empty()) throw std::runtime_error(stream.name + ": cut short");
    at += in.size();
    do {
      const auto step = watch([&] { return decoder.decode(in, MutableBytes(out).subspan(fill)); }).value();
      in = in.subspan(step.consumed);
      fill += step.produced;
      finished = step.finished;
      if (fill == out.size() || finished) {
        timed.crc = decode::crc32(timed.crc, Bytes(out).first(fill));
        fill = 0;
      } else if (in.empty()) {
        break;
      }
    } while (!finished);
  }
  timed.seconds = watch.seconds();
  return timed;
}

Timed whole(const Stream& stream) {
  static std::vector<std::byte> out;
  out.resize(static_cast<std::size_t>(stream.size));
  static libdeflate_decompressor* const decompressor = libdeflate_alloc_decompressor();
  Stopwatch watch;
  const auto status = watch([&] {
    return libdeflate_deflate_decompress(decompressor, stream.bytes.data(), stream.bytes.size(), out.data(),
                                         out.size(), nullptr);
  });
  if (status != LIBDEFLATE_SUCCESS) throw std::runtime_error(stream.name + ": libdeflate fails");
  return {watch.seconds(), decode::crc32(0, out)};
}

std::vector<Candidate> candidates() {
  std::vector<Candidate> out;
  const auto add = [&](std::string name, std::function<std::unique_ptr<decode::Decoder>()> make) {
    out.push_back({std::move(name),
                   [make = std::move(make)](const Stream& stream) { return stream_through(*make(), stream); },
                   {}});
  };
  for (const auto& engine : decode::built_engines())
    add(engine.name, engine.make);
  out.push_back({"libdeflate, whole buffer", whole, {}});
  return out;
}

std::string read(const char* path) {
  std::ifstream file(path, std::ios::binary);
  if (!file)
    throw std::runtime_error(std::string("cannot open '") + path +
                             "': make it with bench/workloads.py torch");
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<Stream> largest(const std::string& archive, std::size_t count) {
  const Bytes bytes = bytes_of(archive);
  const auto location = std::get<zip::DirectoryLocation>(zip::locate_directory(bytes, bytes.size()).value());
  const Bytes records =
      bytes.subspan(static_cast<std::size_t>(location.offset), static_cast<std::size_t>(location.size));
  auto directory = zip::parse_directory(records, location, bytes.size(), {}).value();
  std::erase_if(directory.entries, [](const auto& entry) { return entry.method != zip::Method::deflate; });
  std::sort(directory.entries.begin(), directory.entries.end(),
            [](const auto& a, const auto& b) { return a.size > b.size; });
  std::vector<Stream> out;
  for (const auto& entry : directory.entries) {
    if (out.size() == count) break;
    const Bytes local = bytes.subspan(static_cast<std::size_t>(entry.local_header_offset));
    const std::size_t header = zip::local_header_size(local, entry).value();
    out.push_back({entry.path, local.subspan(header, static_cast<std::size_t>(entry.compressed_size)),
                   entry.size, entry.crc});
  }
  return out;
}

} // namespace

int main(int argc, char** argv) {
  try {
    if (argc < 2) {
      (void)std::fputs("usage: bench_inflate ARCHIVE [ENTRIES [ROUNDS]]\n", stderr);
      return 2;
    }
    const std::string archive = read(argv[1]);
    const std::size_t count = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 3;
    const int rounds = argc > 3 ? std::atoi(argv[3]) : 5;
    std::vector<std::pair<std::string, double>> together;
    const auto streams = largest(archive, count);
    for (const auto& stream : streams) {
      auto all = candidates();
      for (int round = 0; round < rounds; ++round) {
        for (auto& candidate : all) {
          const Timed timed = candidate.run(stream);
          if (timed.crc != stream.crc)
            throw std::runtime_error(stream.name + ": " + candidate.name + " decodes wrongly");
          candidate.seconds.push_back(timed.seconds);
        }
      }
      std::printf("%s: %zu to %llu bytes; MB/s, median [slowest to fastest] of %d\n", stream.name.c_str(),
                  stream.bytes.size(), static_cast<unsigned long long>(stream.size), rounds);
      for (auto& candidate : all) {
        auto& seconds = candidate.seconds;
        std::sort(seconds.begin(), seconds.end());
        const auto rate = [&](double s) { return static_cast<double>(stream.size) / s / 1e6; };
        std::printf("  %-26s %6.0f  [%.0f to %.0f]\n", candidate.name.c_str(),
                    rate(seconds[seconds.size() / 2]), rate(seconds.back()), rate(seconds.front()));
        const auto sum = std::find_if(together.begin(), together.end(),
                                      [&](const auto& known) { return known.first == candidate.name; });
        if (sum == together.end())
          together.emplace_back(candidate.name, seconds[seconds.size() / 2]);
        else
          sum->second += seconds[seconds.size() / 2];
      }
    }
    std::printf("%zu entries: seconds, sum of the medians\n", streams.size());
    for (const auto& [name, seconds] : together)
      std::printf("  %-26s %6.3f\n", name.c_str(), seconds);
  } catch (const std::exception& error) {
    (void)std::fprintf(stderr, "bench_inflate: %s\n", error.what());
    return 1;
  }
}
