// SPDX-License-Identifier: Apache-2.0
// What was asked, in order of arrival. Thread-safe.
#pragma once

#include "support/fake_s3.h"

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace tmpdump::test {

class RequestLog {
public:
  RequestLog(bool keep, bool verbose) : keep_(keep), verbose_(verbose) {}

  void arrived(RequestRecord& record);      // sets number and attempt
  void struck(const RequestRecord& record); // its fault and status are known now
  void finished(const RequestRecord& record);

  [[nodiscard]] std::vector<RequestRecord> all() const;
  bool wait_for_arrived(std::size_t count, std::chrono::milliseconds deadline) const;
  bool wait_for_finished(std::size_t count, std::chrono::milliseconds deadline) const;

private:
  const bool keep_;
  const bool verbose_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::vector<RequestRecord> records_;            // guarded by mutex_
  std::map<std::string, std::uint64_t> attempts_; // guarded by mutex_; by method, target and range
  std::uint64_t numbers_ = 0;                     // guarded by mutex_
  std::size_t finished_ = 0;                      // guarded by mutex_
};

} // namespace tmpdump::test
