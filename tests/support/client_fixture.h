// SPDX-License-Identifier: Apache-2.0
// The client library as a runtime's process would use it, but with a destination of its own a test.
#pragma once

#include "internal.h"
#include "support/destination_fixture.h"

#include <sched.h>
#include <string>

namespace tmpdump::test {

inline constexpr int forever = -1; // a wait that does not end is a hang: ctest's time limit reports it

class Client {
public:
  explicit Client(const std::string& destination) : destination_(destination) {
    client_.destination = destination_.c_str();
  }
  explicit Client(const DestinationFixture& destination) : Client(destination.path()) {}
  ~Client() { tmpdump_client_release(&client_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  int wait(int timeout_ms = forever) { return tmpdump_client_wait(&client_, timeout_ms); }
  int wait_file(const std::string& path, int timeout_ms = forever) {
    return tmpdump_client_wait_file(&client_, path.c_str(), timeout_ms);
  }
  int is_there(const std::string& path) { return wait_file(path, 0); }
  tmpdump_report status() {
    tmpdump_report report{};
    report.size = sizeof report;
    code_ = tmpdump_client_status(&client_, &report);
    return report;
  }
  std::string reason() {
    char text[2048];
    tmpdump_client_reason(&client_, text, sizeof text);
    return text;
  }
  tmpdump_client& raw() { return client_; }

private:
  std::string destination_;
  tmpdump_client client_{};
  int code_ = 0;
};

// Until somebody waits for the file: then killing, failing and publishing meet a waiter (or one about to be).
inline void until_wanted(const manifest::Writer& writer, std::uint32_t index) {
  while (!writer.wanted(index))
    ::sched_yield();
}

} // namespace tmpdump::test
