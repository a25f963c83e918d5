// SPDX-License-Identifier: Apache-2.0
// A destination with an archive that a test describes file by file, and daemons that live in processes of
// their own.
#pragma once

#include "manifest/writer.h"
#include "support/catch.h"
#include "support/elf_builder.h"

#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace tmpdump::test {

// A temporary directory that receives the archive's files; removed at the end.
class DestinationFixture {
public:
  DestinationFixture() {
    std::string name = (std::filesystem::temp_directory_path() / "tmpdump-test-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
    std::filesystem::permissions(path_, std::filesystem::perms(0755));
  }
  ~DestinationFixture() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  DestinationFixture(const DestinationFixture&) = delete;
  DestinationFixture& operator=(const DestinationFixture&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string file(const std::string& name) const { return path_ + "/" + name; }
  [[nodiscard]] std::string manifest() const { return path_ + "/.tmpdump/manifest"; }

  // What the archive holds, in this order.
  void holds(const std::string& name, const std::string& content) {
    contents_[name] = content;
    listing_.push_back({.path = name,
                        .kind = zip::Kind::file,
                        .mode = 0644,
                        .size = content.size(),
                        .crc = static_cast<std::uint32_t>(content.size())});
  }
  void holds_link(const std::string& name, const std::string& target) {
    contents_[name] = target;
    listing_.push_back(
        {.path = name, .kind = zip::Kind::symlink, .mode = 0777, .size = target.size(), .crc = 0});
  }
  [[nodiscard]] const std::vector<manifest::ListedEntry>& listing() const { return listing_; }
  [[nodiscard]] std::uint32_t index(const std::string& name) const {
    for (std::uint32_t i = 0; i < listing_.size(); ++i) {
      if (listing_[i].path == name) return i;
    }
    std::abort();
  }

  // Puts the file at its place, as the output stage does, without publishing it.
  void place(const std::string& name) const {
    const std::filesystem::path target = file(name);
    std::filesystem::create_directories(target.parent_path());
    std::filesystem::remove(target);
    if (listing_[index(name)].kind == zip::Kind::symlink) {
      std::filesystem::create_symlink(contents_.at(name), target);
    } else {
      std::ofstream(target, std::ios::binary) << contents_.at(name);
    }
  }
  void publish(manifest::Writer& writer, const std::string& name) const {
    place(name);
    if (!writer.publish(index(name)).has_value()) std::abort();
  }
  void publish_all(manifest::Writer& writer) const {
    for (const auto& entry : listing_)
      publish(writer, entry.path);
  }

  [[nodiscard]] manifest::Writer start() const { return manifest::Writer::create(path_, "s3://b/k").value(); }
  [[nodiscard]] manifest::Writer start_listed(const std::string& etag = "\"e1\"") const {
    auto writer = start();
    writer.set_listing(etag, listing_).value();
    return writer;
  }

private:
  std::string path_;
  std::map<std::string, std::string> contents_;
  std::vector<manifest::ListedEntry> listing_;
};

// A process that runs `script` and ends. The script and the test wait for each other by cues, never by the
// clock.
class Process {
public:
  class Cues {
  public:
    // Lets the other side's hear() return, once.
    void tell() const {
      const char cue = 'c';
      if (::write(out_, &cue, 1) != 1) std::abort();
    }
    // False: the other side has ended.
    [[nodiscard]] bool hear() const {
      char cue = 0;
      return ::read(in_, &cue, 1) == 1;
    }

  private:
    friend class Process;
    int in_ = -1, out_ = -1;
  };

  explicit Process(const std::function<int(const Cues&)>& script) {
    int down[2], up[2];
    if (::pipe2(down, O_CLOEXEC) != 0 || ::pipe2(up, O_CLOEXEC) != 0) std::abort();
    pid_ = ::fork();
    if (pid_ == 0) {
      ::close(down[1]);
      ::close(up[0]);
      Cues cues;
      cues.in_ = down[0];
      cues.out_ = up[1];
      ::_exit(script(cues));
    }
    ::close(down[0]);
    ::close(up[1]);
    cues_.in_ = up[0];
    cues_.out_ = down[1];
  }
  ~Process() {
    if (pid_ > 0) kill();
    ::close(cues_.in_);
    ::close(cues_.out_);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  [[nodiscard]] const Cues& cues() const { return cues_; }
  [[nodiscard]] pid_t pid() const { return pid_; }
  void kill() {
    ::kill(pid_, SIGKILL);
    static_cast<void>(result());
  }
  // Exit status; -1 when a signal ended it.
  [[nodiscard]] int result() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

private:
  pid_t pid_ = -1;
  Cues cues_;
};

} // namespace tmpdump::test
