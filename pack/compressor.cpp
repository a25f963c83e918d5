// SPDX-License-Identifier: Apache-2.0
#include "pack/compressor.h"

#include <new>
#include <string>
#include <system_error>

namespace tmpdump::pack {

namespace {

result<Packed> compress(Codec& codec, zip::Method method, Job& job) {
  if (job.input.empty() || job.store) return Packed{zip::Method::stored, std::move(job.input)};
  TMPDUMP_TRY(Buffer packed, codec.compress(job.input, job.last));
  if (job.only && packed.size() >= job.input.size()) return Packed{zip::Method::stored, std::move(job.input)};
  return Packed{method, std::move(packed)};
}

} // namespace

Compressor::Compressor(zip::Method method, int level) : method_(method), level_(level) {}

result<void> Compressor::start(unsigned threads) {
  workers_.reserve(threads); // from here on a thread that was started is kept
  try {
    for (unsigned i = 0; i < threads; ++i)
      workers_.emplace_back([this] { work(); });
  } catch (const std::system_error& error) { // fewer do it too
    if (workers_.empty()) {
      return Failure{Errc::io, std::string("start a thread that compresses: ") + error.what() +
                                   " (too many processes, or too little memory)"};
    }
  }
  return {};
}

Compressor::~Compressor() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_all();
  for (auto& worker : workers_)
    worker.join();
}

std::future<result<Packed>> Compressor::submit(Job job) {
  Task task{std::move(job), {}};
  auto future = task.promise.get_future();
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back(std::move(task));
  }
  wake_.notify_one();
  return future;
}

void Compressor::work() {
  std::unique_ptr<Codec> codec;
  for (;;) {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return ending_ || !jobs_.empty(); });
    if (ending_) return;
    Task task = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    try {
      if (!codec) codec = make_codec(method_, level_);
      task.promise.set_value(compress(*codec, method_, task.job));
    } catch (const std::bad_alloc&) {
      task.promise.set_value(Failure{Errc::io, "out of memory while compressing; try a lower --level"});
    }
    task.job.input = {};
  }
}

} // namespace tmpdump::pack
