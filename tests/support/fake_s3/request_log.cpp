// SPDX-License-Identifier: Apache-2.0
#include "support/fake_s3/request_log.h"

#include "base/error.h"

#include <iostream>

namespace tmpdump::test {

void RequestLog::arrived(RequestRecord& record) {
  const std::lock_guard lock(mutex_);
  record.number = ++numbers_;
  if (!keep_) return;
  // By bucket and key: the query of a presigned request may differ from attempt to attempt.
  record.attempt =
      ++attempts_[record.method + ' ' + record.bucket + '/' + record.key + ' ' + record.range.value_or("")];
  records_.push_back(record);
}

void RequestLog::struck(const RequestRecord& record) {
  const std::lock_guard lock(mutex_);
  if (keep_) records_[record.number - 1] = record;
  changed_.notify_all();
}

void RequestLog::finished(const RequestRecord& record) {
  {
    const std::lock_guard lock(mutex_);
    ++finished_;
    if (keep_) records_[record.number - 1] = record;
  }
  changed_.notify_all();
  if (!verbose_) return;
  // Without the query: a presigned one is a credential.
  const std::string line = std::to_string(record.connection) + " " + printable(record.method) + " " +
                           printable(record.target.substr(0, record.target.find('?'))) + " " +
                           printable(record.range.value_or("-")) + " " + std::to_string(record.status) + " " +
                           std::to_string(record.body_bytes_sent) + " " + record.fault + "\n";
  std::cerr << line;
}

std::vector<RequestRecord> RequestLog::all() const {
  const std::lock_guard lock(mutex_);
  return records_;
}

bool RequestLog::wait_for_arrived(std::size_t count, std::chrono::milliseconds deadline) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, deadline, [&] { return numbers_ >= count; });
}

bool RequestLog::wait_for_finished(std::size_t count, std::chrono::milliseconds deadline) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, deadline, [&] { return finished_ >= count; });
}

} // namespace tmpdump::test
