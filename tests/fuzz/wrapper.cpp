// SPDX-License-Identifier: Apache-2.0
// Commands and environments of any kind through the exec wrapper's rewriting. The input is NUL-separated
// words: arguments, an empty one, the environment, an empty one, names of jars.
#include "fuzz.h"
#include "wrapper/rewrite.h"

#include <algorithm>
#include <string>
#include <vector>

using namespace tmpdump;
using namespace tmpdump::fuzz;

namespace {

using Words = std::vector<std::string>;

Words read_words(Input& input) {
  Words words;
  while (!input.empty() && words.size() < 200) {
    const auto rest = text_of(input.peek());
    const std::size_t size = std::min(rest.find('\0'), rest.size());
    words.emplace_back(rest.substr(0, size));
    input.take(size + 1);
    if (size == 0) {
      words.pop_back();
      break;
    }
  }
  return words;
}

std::vector<const char*> pointers(const Words& words) {
  std::vector<const char*> out;
  for (const auto& word : words)
    out.push_back(word.c_str());
  out.push_back(nullptr);
  return out;
}

Words words_of(const char* const* words) {
  Words out;
  for (; *words != nullptr; ++words)
    out.emplace_back(*words);
  return out;
}

struct Outcome {
  bool good = false;
  Words arguments, environment;
};

Outcome rewrite(const Words& arguments, const Words& environment, const Words& jars, const char* preload) {
  const auto argument_pointers = pointers(arguments), environment_pointers = pointers(environment),
             names = pointers(jars);
  const tmpdump_command command{argument_pointers.data(), environment_pointers.data()};
  const tmpdump_surroundings surroundings{"/var/task",
                                          {"/var/task/lib", names.data(), jars.size()},
                                          {"/opt/java/lib", names.data(), jars.size() / 2},
                                          preload};
  tmpdump_arena arena{};
  tmpdump_rewritten out;
  const char* error = tmpdump_rewrite(&command, &surroundings, &arena, &out);
  Outcome outcome;
  if (error != nullptr) {
    require(error[0] != '\0', "an error says something");
  } else {
    outcome = {true, words_of(out.command.arguments), words_of(out.command.environment)};
    require(out.timeout_ms >= -1, "a time limit");
    const std::string folder(out.library_folder);
    require(folder.ends_with("/lib") && folder.front() == '/', "libraries are below an absolute place");
    require(std::any_of(outcome.environment.begin(), outcome.environment.end(),
                        [&](const auto& word) { return word.starts_with("LD_LIBRARY_PATH=" + folder); }),
            "the loader looks there first");
  }
  tmpdump_arena_release(&arena);
  return outcome;
}

} // namespace

FUZZ_TARGET(wrapper) {
  Words arguments = read_words(input);
  const Words environment = read_words(input);
  const Words jars = read_words(input);
  if (arguments.empty()) arguments.emplace_back("java");
  const char* preload = jars.size() % 3 == 2 ? nullptr : "/opt/lib/libtmpdump-preload.so";
  const Outcome once = rewrite(arguments, environment, jars, preload);
  if (!once.good) return;
  require(once.arguments.size() == arguments.size() || once.arguments.size() == arguments.size() + 2,
          "words are changed, and two may come");
  require(once.arguments[0] == arguments[0], "the program stays");
  require(once.environment.size() >= environment.size(), "no variable is lost");
  const std::string_view name(arguments[0]);
  if (name.substr(name.rfind('/') + 1) != "java") {
    require(once.arguments == arguments, "another program's arguments stay as they are");
  }
  // A wrapper around a wrapper: the second finds all done.
  const Outcome twice = rewrite(once.arguments, once.environment, jars, preload);
  require(twice.good && twice.arguments == once.arguments && twice.environment == once.environment,
          "done twice is done once");
}
