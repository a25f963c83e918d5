// SPDX-License-Identifier: Apache-2.0
// Runs a decoder over data cut in any way, between pages that must not be touched, and watches the contract.
#pragma once

#include "decode/engines.h"

#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <random>
#include <stdexcept>
#include <string>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

namespace tmpdump::decode::test {

// Memory that ends where an inaccessible page begins: assembly is invisible to AddressSanitizer.
class GuardedMemory {
public:
  explicit GuardedMemory(std::size_t size) {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    usable_ = (size + page - 1) / page * page;
    void* const memory =
        ::mmap(nullptr, usable_ + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || ::mprotect(static_cast<std::byte*>(memory) + usable_, page, PROT_NONE) != 0)
      throw std::runtime_error("mmap");
    memory_ = static_cast<std::byte*>(memory);
    mapped_ = usable_ + page;
  }
  GuardedMemory(const GuardedMemory&) = delete;
  GuardedMemory& operator=(const GuardedMemory&) = delete;
  ~GuardedMemory() { ::munmap(memory_, mapped_); }

  MutableBytes last(std::size_t size) { return {memory_ + (usable_ - size), size}; }

private:
  std::byte* memory_ = nullptr;
  std::size_t usable_ = 0, mapped_ = 0;
};

using Sizes = std::function<std::size_t()>; // the next chunk's size, at least 1, at most max_chunk
inline constexpr std::size_t max_chunk = std::size_t{256} * 1024;

inline Sizes always(std::size_t size) {
  return [size] { return size; };
}
inline Sizes random_sizes(unsigned seed, std::size_t limit) {
  return [engine = std::mt19937(seed), limit]() mutable {
    // Mostly small, sometimes large: the logarithm is uniform.
    const double exponent =
        std::uniform_real_distribution<>(0, std::log2(static_cast<double>(limit)))(engine);
    return static_cast<std::size_t>(std::exp2(exponent));
  };
}

struct Outcome {
  std::string output;
  std::size_t consumed = 0;
  bool finished = false;
  std::string failure;   // empty: none
  std::string violation; // of the contract; empty: none
};

// Offers `input` in chunks; what is left over of one is offered again with the next.
inline Outcome run(Decoder& decoder, std::string_view input, const Sizes& in_sizes = always(max_chunk),
                   const Sizes& out_sizes = always(max_chunk)) {
  static GuardedMemory in_memory(max_chunk), out_memory(max_chunk);
  Outcome outcome;
  while (!outcome.finished) {
    const std::string_view chunk = input.substr(outcome.consumed, in_sizes());
    const MutableBytes in = in_memory.last(chunk.size());
    if (!chunk.empty()) std::memcpy(in.data(), chunk.data(), chunk.size());
    const MutableBytes out = out_memory.last(out_sizes());
    auto step = decoder.decode(in, out);
    if (!step) {
      outcome.failure = step.error().message;
      if (decoder.decode(in, out)) outcome.violation = "the failure did not stick";
      return outcome;
    }
    if (step->consumed > in.size() || step->produced > out.size()) {
      outcome.violation = "more than the span";
      return outcome;
    }
    outcome.consumed += step->consumed;
    outcome.output += text_of(Bytes(out).first(step->produced));
    outcome.finished = step->finished;
    if (step->consumed == 0 && step->produced == 0 && !step->finished) {
      if (!in.empty()) outcome.violation = "no progress";
      return outcome;
    }
  }
  const auto after = decoder.decode(in_memory.last(1), out_memory.last(1));
  if (!after || after->consumed != 0 || after->produced != 0 || !after->finished)
    outcome.violation = "not finished for good";
  return outcome;
}

inline const std::vector<InflateEngine> inflate_engines = built_engines();

inline std::string deflate_raw(std::string_view data, int level = 6, int strategy = Z_DEFAULT_STRATEGY,
                               int memory_level = 8) {
  z_stream stream{};
  if (deflateInit2(&stream, level, Z_DEFLATED, -MAX_WBITS, memory_level, strategy) != Z_OK)
    throw std::runtime_error("deflateInit2");
  std::string out(deflateBound(&stream, data.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
  stream.avail_in = static_cast<uInt>(data.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int status = ::deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  if (status != Z_STREAM_END) throw std::runtime_error("deflate");
  return out;
}

inline std::string random_bytes(std::size_t size, unsigned seed) {
  std::mt19937 engine(seed);
  std::string out(size, '\0');
  for (char& c : out)
    c = static_cast<char>(engine());
  return out;
}

// Words of a small vocabulary, Zipf-like: matches of all lengths and distances, literals between them.
inline std::string text_like(std::size_t size, unsigned seed) {
  std::mt19937 engine(seed);
  std::vector<std::string> words;
  for (int i = 0; i < 2000; ++i) {
    std::string word;
    for (std::size_t length = 2 + engine() % 9; length > 0; --length)
      word.push_back(static_cast<char>('a' + engine() % 26));
    words.push_back(word + ' ');
  }
  std::string out;
  while (out.size() < size) {
    const double u = std::uniform_real_distribution<>(0, 1)(engine);
    out += words[static_cast<std::size_t>(u * u * u * 1999)];
  }
  out.resize(size);
  return out;
}

} // namespace tmpdump::decode::test
