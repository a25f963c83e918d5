// SPDX-License-Identifier: Apache-2.0
// Runs a piece of a test in a child process: one that may be killed, mount file systems, or drop privileges.
#pragma once

#include <csignal>
#include <functional>
#include <sched.h>
#include <stdexcept>
#include <string>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tmpdump::test {

// A child that runs `body`, says so, and then waits for its end.
class Child {
public:
  explicit Child(const std::function<void()>& body) {
    int ready[2];
    if (::pipe(ready) != 0) throw std::runtime_error("pipe");
    pid_ = ::fork();
    if (pid_ < 0) throw std::runtime_error("fork");
    if (pid_ == 0) {
      ::close(ready[0]);
      body();
      static_cast<void>(!::write(ready[1], "r", 1));
      while (true)
        ::pause();
    }
    ::close(ready[1]);
    char byte = 0;
    started_ = ::read(ready[0], &byte, 1) == 1;
    ::close(ready[0]);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() { kill(); }

  [[nodiscard]] bool started() const { return started_; }
  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

private:
  pid_t pid_ = -1;
  bool started_ = false;
};

// What `body` returns, from a child process. Assertions do not work there; text does.
inline std::string in_child(const std::function<std::string()>& body) {
  int answer[2];
  if (::pipe(answer) != 0) throw std::runtime_error("pipe");
  const pid_t pid = ::fork();
  if (pid < 0) throw std::runtime_error("fork");
  if (pid == 0) {
    ::close(answer[0]);
    std::string text;
    try {
      text = body();
    } catch (const std::exception& error) {
      text = std::string("exception: ") + error.what();
    }
    static_cast<void>(!::write(answer[1], text.data(), text.size()));
    ::_exit(0); // no destructors of the parent's things
  }
  ::close(answer[1]);
  std::string text;
  char buffer[4096];
  for (ssize_t count = 0; (count = ::read(answer[0], buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<std::size_t>(count));
  ::close(answer[0]);
  ::waitpid(pid, nullptr, 0);
  return text;
}

// The same where a tmpfs with `options` is mounted on `directory` for the child alone. Empty: no permission.
inline std::string on_tmpfs(const std::string& directory, const std::string& options,
                            const std::function<std::string()>& body) {
  return in_child([&]() -> std::string {
    if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("tmpfs", directory.c_str(), "tmpfs", 0, options.c_str()) != 0)
      return "";
    return body();
  });
}

} // namespace tmpdump::test
