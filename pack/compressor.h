// SPDX-License-Identifier: Apache-2.0
// Segments in, compressed segments out, on all cores.
#pragma once

#include "pack/codec.h"

#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <thread>
#include <vector>

namespace tmpdump::pack {

struct Packed {
  zip::Method method = zip::Method::stored;
  Buffer data;
};

struct Job {
  Buffer input;
  bool last = true; // of its file's segments
  bool only = true; // the file's only one: it may be stored instead, where compressing gains nothing
  bool store = false;
};

// Thread safety: submit() from one thread; the workers take jobs in the order of submission. Invariant:
// `jobs_` and `ending_` are guarded by `mutex_`. Memory is bounded by the caller, who holds the futures.
class Compressor {
public:
  Compressor(zip::Method method, int level);
  ~Compressor(); // jobs that no worker has begun are dropped
  Compressor(const Compressor&) = delete;
  Compressor& operator=(const Compressor&) = delete;

  // Once, before the first submit(). Fewer threads are as good; fails where there is none.
  result<void> start(unsigned threads);
  std::future<result<Packed>> submit(Job job);

private:
  struct Task {
    Job job;
    std::promise<result<Packed>> promise;
  };
  void work();

  const zip::Method method_;
  const int level_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Task> jobs_;
  bool ending_ = false;
  std::vector<std::thread> workers_;
};

} // namespace tmpdump::pack
