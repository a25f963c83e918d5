// SPDX-License-Identifier: Apache-2.0
// Decides which fault strikes a request or a connection, and bends answers accordingly.
#pragma once

#include "support/fake_s3.h"
#include "support/fake_s3/http.h"

#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace tmpdump::test {

class FaultSchedule {
public:
  // Thread-safe.
  void add(Fault fault);
  void clear();
  std::optional<Fault> for_request(const RequestRecord& request);
  std::optional<Fault> for_connection(std::uint64_t connection);

private:
  struct Entry {
    Fault fault;
    std::uint64_t met = 0; // how many met its conditions so far
  };
  static bool is_due(Entry& entry);
  std::mutex mutex_;
  std::vector<Entry> entries_; // guarded by mutex_
};

// What the fault makes of the right answer, before framing: gzip, multipart.
void bend_body(const Fault& fault, Answer& answer);
// After framing: versions and headers.
void bend_head(const Fault& fault, Answer& answer);

} // namespace tmpdump::test
