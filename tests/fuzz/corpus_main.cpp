// SPDX-License-Identifier: Apache-2.0
// Every file of the seed corpora through its target, by any compiler, in every build: fuzz_corpus_test
// CORPUS. A target without seeds, and a folder without a target, are errors.
#include "fuzz.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <span>
#include <vector>

namespace tmpdump::fuzz {
namespace {

std::map<std::string, Target>& targets() {
  static std::map<std::string, Target> all;
  return all;
}

std::size_t run_folder(const std::filesystem::path& folder, Target target) {
  std::size_t count = 0;
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    std::ifstream in(file.path(), std::ios::binary);
    const std::vector<char> bytes((std::istreambuf_iterator<char>(in)), {});
    // A copy of its own size: reading behind it is seen by a sanitizer.
    (void)std::fprintf(stderr, "%s\n", file.path().c_str());
    target(Input(std::as_bytes(std::span(bytes.data(), bytes.size()))));
    target(Input(std::as_bytes(std::span(bytes.data(), bytes.size() / 2))));
    ++count;
  }
  return count;
}

} // namespace

Registration::Registration(const char* name, Target target) {
  targets()[name] = target;
}

} // namespace tmpdump::fuzz

int main(int count, char** arguments) {
  using namespace tmpdump::fuzz;
  if (count != 2) {
    (void)std::fprintf(stderr, "usage: %s CORPUS\n", arguments[0]);
    return 2;
  }
  std::size_t files = 0;
  for (const auto& [name, target] : targets()) {
    const std::filesystem::path folder = std::filesystem::path(arguments[1]) / name;
    const std::size_t here = std::filesystem::is_directory(folder) ? run_folder(folder, target) : 0;
    require(here > 0, "every target has seeds: " + name);
    files += here;
  }
  for (const auto& folder : std::filesystem::directory_iterator(arguments[1]))
    require(targets().contains(folder.path().filename().string()),
            "every folder is a target's: " + folder.path().string());
  std::printf("%zu targets, %zu seeds\n", targets().size(), files);
  return 0;
}
