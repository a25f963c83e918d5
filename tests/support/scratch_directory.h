// SPDX-License-Identifier: Apache-2.0
// A directory that a test may fill, and verbs to look into it.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace tmpdump::test {

class ScratchDirectory {
public:
  ScratchDirectory() {
    std::string name = std::filesystem::temp_directory_path() / "tmpdump-test-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp " + name);
    root_ = name;
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  ~ScratchDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }

  [[nodiscard]] std::string path(const std::string& name = "") const {
    return name.empty() ? root_.string() : (root_ / name).string();
  }
  [[nodiscard]] bool exists(const std::string& name) const {
    struct stat status {};
    return ::lstat(path(name).c_str(), &status) == 0;
  }
  [[nodiscard]] mode_t mode(const std::string& name) const {
    struct stat status {};
    if (::lstat(path(name).c_str(), &status) != 0) throw std::runtime_error("lstat " + name);
    return status.st_mode & 07777U;
  }
  [[nodiscard]] std::string read(const std::string& name) const {
    std::ifstream file(path(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  [[nodiscard]] std::string link(const std::string& name) const {
    return std::filesystem::read_symlink(path(name));
  }
  [[nodiscard]] std::vector<std::string> list(const std::string& name) const { // sorted
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(path(name)))
      names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
  }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path(name), std::ios::binary) << text;
  }
  void symlink(const std::string& target, const std::string& name) const {
    std::filesystem::create_symlink(target, path(name));
  }
  void make_directory(const std::string& name) const { std::filesystem::create_directories(path(name)); }

private:
  std::filesystem::path root_;
};

// The process's umask while it lives.
class Umask {
public:
  explicit Umask(mode_t mask) : old_(::umask(mask)) {}
  Umask(const Umask&) = delete;
  Umask& operator=(const Umask&) = delete;
  ~Umask() { ::umask(old_); }

private:
  mode_t old_;
};

// The process is not root while it lives, and may write to the scratch directory: to root no mode forbids
// anything.
class NotRoot {
public:
  explicit NotRoot(const ScratchDirectory& scratch) {
    if (::geteuid() != 0) return;
    if (::chown(scratch.path().c_str(), nobody, nobody) != 0 || ::seteuid(nobody) != 0)
      throw std::runtime_error("become another user");
    changed_ = true;
  }
  NotRoot(const NotRoot&) = delete;
  NotRoot& operator=(const NotRoot&) = delete;
  ~NotRoot() {
    if (changed_ && ::seteuid(0) != 0) std::abort();
  }

private:
  static constexpr uid_t nobody = 65534;
  bool changed_ = false;
};

} // namespace tmpdump::test
