// SPDX-License-Identifier: Apache-2.0
#include "pack/strip.h"

#include "pack/text.h"

#include <cerrno>
#include <cstdlib>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tmpdump::pack {

namespace {

std::string program() {
  const char* const other = std::getenv("STRIP");
  return other != nullptr && *other != '\0' ? other : "strip";
}

result<int> run(std::vector<std::string> words) {
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (std::string& word : words)
    arguments.push_back(word.data());
  arguments.push_back(nullptr);
  posix_spawnattr_t attributes;
  (void)::posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none); // the child ends on Ctrl-C, which we block (Interrupt)
  (void)::posix_spawnattr_setsigmask(&attributes, &none);
  (void)::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  pid_t child = 0;
  const int failed =
      ::posix_spawnp(&child, words[0].c_str(), nullptr, &attributes, arguments.data(), environ);
  (void)::posix_spawnattr_destroy(&attributes);
  if (failed != 0) {
    return Failure{Errc::not_found,
                   "--strip: cannot run " + quote(words[0]) + ": install binutils, or name another in STRIP"};
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return system_failure("wait for " + quote(words[0]), errno);
  }
  return status;
}

} // namespace

result<void> strip_debug(std::vector<Item>& items, const Libraries& libraries, Workspace& workspace,
                         const Interrupt& interrupt) {
  const std::string strip = program();
  for (Item& item : items) {
    const auto library = libraries.find(item.path);
    if (item.kind != zip::Kind::file || library == libraries.end()) continue;
    TMPDUMP_CHECK(interrupt.check());
    TMPDUMP_TRY(const std::string copy, workspace.new_file());
    TMPDUMP_TRY(const int status, run({strip, "--strip-debug", "-o", copy, "--", item.file}));
    struct stat made {};
    if (status != 0 || ::stat(copy.c_str(), &made) != 0) {
      return Failure{Errc::io, "--strip: " + quote(strip) + " failed on " + quote(item.origin) +
                                   " (its message is above); --exclude the file or leave --strip out"};
    }
    const auto size = static_cast<std::uint64_t>(made.st_size);
    if (size >= item.size) {
      (void)::unlink(copy.c_str());
      continue;
    }
    item.file = copy;
    item.size = size;
  }
  return {};
}

} // namespace tmpdump::pack
