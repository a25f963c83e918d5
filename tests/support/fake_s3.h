// SPDX-License-Identifier: Apache-2.0
// An S3 server for tests, demos and benchmarks: objects with ETags and ranges, signatures, and faults on
// demand. It runs threads of its own; every method may be called from any thread. Its signature check shares
// no code with the client's signer, and is itself checked against the aws CLI
// (tests/support/check_fake_s3.sh).
#pragma once

#include "base/bytes.h"
#include "support/fake_s3_fault.h"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tmpdump::test {

struct FakeCredentials {
  std::string access_key = {};
  std::string secret_key = {};
  std::string session_token = {}; // not empty: requests must carry it
  bool expired = false;           // 400 ExpiredToken
};

// Limits in the manner of a network link; 0: no limit. Bytes are counted as they enter the socket.
struct Shape {
  std::chrono::milliseconds first_byte{0};      // from the request's end to the answer's first byte
  std::chrono::milliseconds slow_first_byte{0}; // instead of it, for each slow_every-th request
  std::uint64_t slow_every = 0;
  std::uint64_t connection_bytes_per_second = 0;
  std::uint64_t total_bytes_per_second = 0;
  std::uint64_t burst_bytes = 0; // the first so many bytes in all flow at burst_bytes_per_second
  std::uint64_t burst_bytes_per_second = 0;
};

struct FakeS3Options {
  bool tls = false;
  std::vector<std::string> tls_names = {}; // in the certificate; empty: localhost, 127.0.0.1, S3's names
  bool tls_expired = false;                // a certificate of last year
  bool tls_early = false;                  // a certificate of tomorrow
  bool tls_old = false;                    // nothing newer than TLS 1.1
  std::string region = "us-east-1";
  unsigned other_region = 301; // how a bucket in another region redirects; 307: as one that is new does
  std::vector<FakeCredentials> credentials = {}; // none: everybody may do everything, signed or not
  std::string root = {};                         // not empty: serves root/BUCKET/KEY, read-only
  std::string address = "127.0.0.1";
  std::uint16_t port = 0; // 0: any free one
  unsigned threads = 1;
  bool keep_log = true;
  bool verbose = false; // one line a request on stderr
  Shape shape = {};
};

enum class SignedHow { not_signed, header, presigned };

// One request, in the order of arrival. What is unknown until the answer's end (from `status` on) is filled
// in then.
struct RequestRecord {
  std::uint64_t number = 0;     // from 1
  std::uint64_t connection = 0; // from 1
  std::string method;
  std::string target; // as it was on the wire
  std::string host;
  std::string bucket, key; // decoded
  std::optional<std::string> range;
  std::optional<std::string> if_match;
  std::optional<std::uint64_t> first_byte; // of the range asked for, resolved against the object's size
  std::uint64_t length = 0;
  std::uint64_t attempt = 1; // how often exactly this was asked for so far
  SignedHow signed_how = SignedHow::not_signed;
  std::chrono::steady_clock::time_point at;
  std::string fault; // name of the fault that struck it

  unsigned status = 0;
  std::uint64_t body_bytes_sent = 0; // as framed
  bool finished = false;             // the answer was sent to its end, faults included
};

class FakeS3 {
public:
  explicit FakeS3(FakeS3Options options = {}); // listens when it returns; throws std::exception
  ~FakeS3();                                   // open connections are dropped
  FakeS3(const FakeS3&) = delete;
  FakeS3& operator=(const FakeS3&) = delete;

  [[nodiscard]] std::uint16_t port() const;
  [[nodiscard]] std::string url() const;    // "http://127.0.0.1:PORT"
  [[nodiscard]] std::string ca_pem() const; // trust this to trust the server; empty without TLS

  // A bucket in another region redirects those who sign for, or call, the server's own.
  void create_bucket(const std::string& bucket, const std::string& region = {});
  // The bucket is created where there is none. Each put is a new version with its own ETag (the MD5).
  void put(const std::string& bucket, const std::string& key, Bytes bytes);
  void put(const std::string& bucket, const std::string& key, std::string_view text);
  void put_file(const std::string& bucket, const std::string& key, const std::string& path); // not copied
  void remove(const std::string& bucket, const std::string& key);
  [[nodiscard]] std::string etag(const std::string& bucket, const std::string& key) const; // with quotes

  // Faults are looked at in order, the first that is due strikes; each counts all requests that meet its
  // conditions, whether or not another one struck.
  void schedule(Fault fault);
  void schedule(std::vector<Fault> faults);
  void clear_faults();

  [[nodiscard]] std::vector<RequestRecord> requests() const;
  // Block until that many requests have come, or were answered to their end; false at the deadline.
  bool wait_for_arrived(std::size_t count, std::chrono::milliseconds deadline) const;
  bool wait_for_finished(std::size_t count, std::chrono::milliseconds deadline) const;
  void wait_for_connections(std::uint64_t count) const; // blocks until so many were accepted
  [[nodiscard]] std::uint64_t connections() const;      // accepted so far
  [[nodiscard]] std::uint64_t open_connections() const; // now

  void reset_connections(); // RST to all that are open now, whether idle or in an exchange
  void set_clock_offset(std::chrono::seconds offset); // what the server's clock is ahead of the system's

private:
  struct State;
  std::unique_ptr<State> state_;
};

} // namespace tmpdump::test
