// SPDX-License-Identifier: Apache-2.0
#include "support/archive.h"

#include <cstring>
#include <random>

namespace tmpdump::test {

std::string noise(std::size_t size, std::uint64_t seed) {
  std::string out(size + 8, '\0');
  std::uint64_t state = seed * 0x9E3779B97F4A7C15U;
  for (std::size_t at = 0; at < size; at += 8) {
    state ^= state << 13U; // xorshift64: quick also without optimization
    state ^= state >> 7U;
    state ^= state << 17U;
    const std::uint64_t word = state * 0x2545F4914F6CDD1DU;
    std::memcpy(out.data() + at, &word, sizeof word);
  }
  out.resize(size);
  return out;
}

std::string prose(std::size_t size, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string out;
  out.reserve(size + 32);
  while (out.size() < size)
    out.append("line ").append(std::to_string(random() % 100'000)).append(" of a long text\n");
  out.resize(size);
  return out;
}

Archive& Archive::file(const std::string& name, const std::string& content, const ZipOptions& options) {
  builder.add(name, content, options);
  tree_[name] = {Node::Kind::file, options.mode.value_or(0644) & 0777U, content};
  return *this;
}

Archive& Archive::directory(const std::string& name, mode_t mode) {
  builder.directory(name, mode);
  tree_[name] = {Node::Kind::directory, mode, ""};
  return *this;
}

Archive& Archive::symlink(const std::string& name, const std::string& target) {
  builder.symlink(name, target);
  tree_[name] = {Node::Kind::symlink, 0, target};
  return *this;
}

} // namespace tmpdump::test
