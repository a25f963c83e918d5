// SPDX-License-Identifier: Apache-2.0
// Where the bytes of an archive come from, seen by the fetch stage: ranged GETs of one object.
// Implementations: S3 and plain HTTP (http_source.h), a local file (file_source.h), and fakes in the tests.
#pragma once

#include "base/bytes.h"
#include "base/error.h"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>

namespace tmpdump::s3 {

struct Slice { // bytes [offset, offset + length)
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};
struct Suffix { // the last `length` bytes, or all when the object is shorter
  std::uint64_t length = 0;
};

struct GetRequest {
  std::variant<Slice, Suffix> range;
  std::string if_match; // ETag that the object must still have; empty: any
};

// What the caller may do about a failed attempt.
enum class Verdict {
  fatal,        // asking again would not help
  retry_now,    // the attempt met stale state that is repaired now: an idle connection, a region, a token, a
                // clock
  retry_later,  // transport error, 429, 500, 502, 503, 504, or one of S3's retryable codes: back off first
  changed,      // 412, or an answer that belongs to another version of the object: start over
  out_of_range, // 416: the object ends before the range begins
};

struct GetFailure {
  Failure failure;
  Verdict verdict = Verdict::fatal;
  std::optional<std::chrono::milliseconds> retry_after; // the server's wish
};
template <class T>
using attempt_result = boost::system::result<T, GetFailure>;
[[noreturn]] void throw_exception_from_error(const GetFailure& failure, const boost::source_location& where);

// The bytes of one answer. Destroyed early: the connection is given up.
class Body {
public:
  virtual ~Body() = default;
  // At least one byte into `out`, or 0 when the announced length has been delivered.
  virtual boost::asio::awaitable<attempt_result<std::size_t>> read(MutableBytes out) = 0;
};

struct GetResponse {
  std::uint64_t offset = 0; // of the first byte of the body, checked against what was asked
  std::uint64_t length = 0; // of the body
  std::uint64_t object_size = 0;
  std::string etag;        // as sent, with quotes; empty: the server has none
  unsigned connection = 0; // number for traces
  std::unique_ptr<Body> body;
};

// Thread rules: network thread only. Cancelling a coroutine closes its connection.
class ObjectSource {
public:
  virtual ~ObjectSource() = default;
  // One attempt; retries are the fetch stage's business.
  virtual boost::asio::awaitable<attempt_result<GetResponse>> get(GetRequest request) = 0;
  // Closes what is kept for a next request: nothing more is going to be asked for.
  virtual void close_idle() {}
  // For messages and the manifest: no query, no credentials.
  [[nodiscard]] virtual std::string display() const = 0;
  [[nodiscard]] virtual std::uint64_t requests() const = 0;    // sent so far
  [[nodiscard]] virtual std::uint64_t connections() const = 0; // opened so far
  // When the first connection could carry a request; zero: none has.
  [[nodiscard]] virtual std::chrono::steady_clock::time_point first_connected() const { return {}; }
};

} // namespace tmpdump::s3
