// SPDX-License-Identifier: Apache-2.0
// The whole pipeline as a test drives it: the real modules from options to files, an S3 with faults in this
// process, and a fresh destination. A fetch ends only when nothing of it is left running.
#pragma once

#include "config/options.h"
#include "net/network.h"
#include "prefetch/prefetch.h"
#include "support/archive.h"
#include "support/catch.h"
#include "support/fake_s3.h"
#include "support/scratch_directory.h"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

// A failed check prints the failure's message.
template <class T>
struct Catch::StringMaker<boost::system::result<T, tmpdump::Failure>> {
  static std::string convert(const boost::system::result<T, tmpdump::Failure>& value) {
    return value ? "a value" : std::string(name(value.error().code)) + ": " + value.error().message;
  }
};

namespace tmpdump::test {

// Limits that are there only so that a defect does not hang the tests.
inline constexpr std::chrono::milliseconds ample{60'000};

inline constexpr std::uint64_t kib = 1U << 10U;
inline constexpr std::uint64_t mib = 1U << 20U;

// Demands signatures of the keys that a Pipeline uses.
FakeS3Options signed_only();

class Pipeline {
public:
  explicit Pipeline(FakeS3Options server = signed_only());
  ~Pipeline();
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;

  // Puts the archive at s3://bucket/lib.zip.
  void holds(const Archive& archive);
  void holds(const BuiltZip& zip) { s3.put("bucket", "lib.zip", zip.bytes); }

  using Outcome = result<prefetch::Summary>;
  Outcome fetch();
  // Cancels as soon as `when` holds, which is asked after every step of the loop; nullopt: it was cancelled.
  std::optional<Outcome> fetch_and_cancel(const std::function<bool()>& when);
  // Cancels when `wait`, which may block (on a thread of its own), returns: for when nothing moves any more.
  std::optional<Outcome> fetch_and_cancel_after(const std::function<void()>& wait);

  // Of the last fetch:
  [[nodiscard]] Tree tree() const { return read_tree(destination()); }
  [[nodiscard]] const std::vector<std::string>& staged() const { return staged_; } // left behind at its end
  // When the fetch ended nothing was left that would have kept its loop running: no timer, no connection.
  [[nodiscard]] bool ended_quietly() const { return quiet_; }
  [[nodiscard]] std::string destination() const { return scratch.path("dest"); }
  // Object requests that reached the server.
  [[nodiscard]] std::vector<RequestRecord> gets() const { return s3.requests(); }
  [[nodiscard]] std::uint64_t bytes_asked() const;

  FakeS3 s3;
  ScratchDirectory scratch;
  std::map<std::string, std::string> environment; // of the process that fetches
  config::Overrides overrides;
  net::NetworkOptions network;
  prefetch::Settings settings; // retries at once and for long, no hedges, 1 MiB ranges
  prefetch::Observer observer;
  Trace trace;
  // Started before the fetch on its loop, stopped after it: another server. May change what is above.
  std::function<std::shared_ptr<void>(boost::asio::io_context&)> beside;

private:
  std::vector<std::string> staged_;
  bool quiet_ = false;
};

} // namespace tmpdump::test
