// SPDX-License-Identifier: Apache-2.0
#include "net/wakeups.h"

#include "base/unique_fd.h"

#include <array>
#include <charconv>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <set>
#include <string>
#include <unistd.h>
#include <vector>

namespace tmpdump::net {
namespace {

std::string link_of(int directory, const char* name) {
  std::array<char, 64> text{};
  const ssize_t size = ::readlinkat(directory, name, text.data(), text.size());
  return {text.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
}

// The descriptors that an epoll watches: "tfd:        5 events: ..." in proc_pid_fdinfo(5).
void remove_watched(int epoll, std::set<int>& waiting) {
  const UniqueFd file(::open(("/proc/self/fdinfo/" + std::to_string(epoll)).c_str(), O_RDONLY | O_CLOEXEC));
  std::string text;
  std::array<char, 4096> part{};
  ssize_t size = 0;
  while (file && (size = ::read(file.get(), part.data(), part.size())) > 0)
    text.append(part.data(), static_cast<std::size_t>(size));
  constexpr std::string_view word = "tfd:";
  // Nothing is known, as where the kernel is not Linux' own.
  if (!file || size < 0 || text.find(word) == std::string::npos) waiting.clear();
  for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) {
    const auto digits = text.find_first_not_of(' ', at + word.size());
    int number = -1;
    if (digits != std::string::npos) std::from_chars(text.data() + digits, text.data() + text.size(), number);
    waiting.erase(number);
  }
}

} // namespace

result<void> require_wakeups() {
  const std::unique_ptr<DIR, int (*)(DIR*)> all(::opendir("/proc/self/fd"), ::closedir);
  if (!all) return {};
  std::vector<int> epolls;
  std::set<int> waiting;
  while (const dirent* entry = ::readdir(all.get())) {
    const std::string_view name = entry->d_name;
    int number = -1;
    if (std::from_chars(name.data(), name.data() + name.size(), number).ec != std::errc()) continue;
    const int flags = ::fcntl(number, F_GETFD);
    if (flags < 0 || (flags & FD_CLOEXEC) == 0) continue; // inherited
    const std::string link = link_of(::dirfd(all.get()), entry->d_name);
    if (link == "anon_inode:[eventpoll]") epolls.push_back(number);
    if (link == "anon_inode:[eventfd]" || link == "anon_inode:[timerfd]") waiting.insert(number);
  }
  for (const int epoll : epolls)
    remove_watched(epoll, waiting);
  if (waiting.empty()) return {};
  return Failure{Errc::io, "wait for threads and timers: the kernel did not let epoll watch them; raise "
                           "fs.epoll.max_user_watches, or the memory"};
}

} // namespace tmpdump::net
