// SPDX-License-Identifier: Apache-2.0
// What can go wrong between a client and S3, as plain data: a Fault says when it strikes and what it does.
// Any parts of it can be combined, so a schedule can be written down, printed, or drawn from a seeded
// generator.
#pragma once

#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace tmpdump::test {

inline constexpr std::uint64_t forever = std::numeric_limits<std::uint64_t>::max();

// Which requests a fault strikes. All conditions that are set must hold; of the requests for which they do,
// `skip` pass, then each `every`-th one is struck until `count` were.
struct When {
  std::string method = {};                        // "GET"; empty: any
  std::string key = {};                           // empty: any
  std::string range = {};                         // the Range header as it was sent; empty: any
  std::optional<std::uint64_t> touches_byte = {}; // the range asked for includes this offset
  std::optional<std::uint64_t> begins_at = {};    // the range asked for begins here
  std::uint64_t first_attempts = forever;         // only the first N times that exactly this is asked for
  std::optional<std::uint64_t> connection = {};   // on the connection with this number (from 1)
  std::uint64_t skip = 0;
  std::uint64_t every = 1;
  std::uint64_t count = 1;
};

// Instead of the right answer, S3's XML error.
struct ErrorAnswer {
  unsigned status = 503;
  std::string code = "SlowDown";                                 // as S3 names it
  std::string message = {};                                      // empty: S3's usual words
  std::vector<std::pair<std::string, std::string>> headers = {}; // further ones, e.g. {"Retry-After", "1"}
  std::vector<std::pair<std::string, std::string>> details = {}; // further XML elements
};

// Stops an answer early. Bytes are counted on the wire: of the header, or of the body as it is framed. A
// reset overtakes bytes that the peer has not taken yet, so it delivers *at most* that many.
struct Cut {
  enum class Part { header, body };
  enum class How {
    reset,      // RST
    close,      // FIN; with TLS close_notify before
    stall,      // nothing more, until the client leaves
    alert,      // a fatal alert of TLS; without TLS a close
    bad_record, // one more record of which a bit has changed on its way, then close; without TLS a close
                // alone
  };
  Part part = Part::body;
  std::uint64_t after = 0;
  How how = How::reset;
};

// `bytes` at a time, `interval` apart.
struct Trickle {
  std::uint64_t bytes = 1;
  std::chrono::microseconds interval{1000};
};

struct HeaderEdit {
  enum class How { replace, add, remove }; // add duplicates a header that is there
  How how = How::replace;
  std::string name = {};
  std::string value = {};
};

// Strikes a connection when it is accepted, not a request; When's skip, every, count and connection apply.
enum class ConnectFault {
  none,
  reset,
  close,
  stall,
  garbage,
  tls_alert,             // in the clear
  alert_after_handshake, // under its keys; without TLS a close
};

struct Fault {
  std::string name = {}; // for the log
  When when = {};

  ConnectFault connect = ConnectFault::none;
  // The others: not at once but after so many bytes of the server's side of the TLS handshake, or at its end.
  std::uint64_t handshake_bytes = 0;

  // What happens to the object just before the answer is made.
  std::optional<std::string> replace_object = {}; // new bytes and so a new ETag: If-Match then fails
  bool new_etag = false;                          // the same bytes under a new ETag

  // What is answered.
  std::optional<ErrorAnswer> error = {};
  bool ignore_range = false;           // 200 and the whole object
  std::int64_t shift = 0;              // 206 for bytes so much further on (or back), as the header says
  bool multipart = false;              // 206 multipart/byteranges
  bool gzip = false;                   // the body encoded so, whose length the header then has
  bool chunked = false;                // Transfer-Encoding: chunked instead of Content-Length
  std::optional<std::string> raw = {}; // these bytes instead of HTTP, then close
  std::string interim = {};            // these bytes, one or more 1xx answers, in front of the right one
  std::vector<HeaderEdit> headers = {};
  std::int64_t content_length_off_by = 0; // added to the header alone; the connection closes after the body
  bool http_1_0 = false;
  bool connection_close = false; // announced
  bool close_after = false;      // closes after the answer without having announced it

  // How it is sent.
  std::chrono::microseconds first_byte_delay{0};
  std::optional<Cut> cut = {};
  std::optional<Trickle> trickle = {};
};

// Names for the usual faults: fault::reset(1000).on(nth_get(3)).
struct ScheduledFault : Fault {
  [[nodiscard]] Fault on(When conditions) const {
    Fault fault = *this;
    fault.when = std::move(conditions);
    return fault;
  }
};

inline When nth_get(std::uint64_t n) {
  return {.method = "GET", .skip = n - 1};
}
inline When every_request() {
  return {.count = forever};
}
inline When each_first_attempt() {
  return {.first_attempts = 1, .count = forever};
}
inline When touching(std::uint64_t offset) {
  return {.touches_byte = offset, .count = forever};
}
inline When nth_connection(std::uint64_t n) {
  return {.connection = n};
}

namespace fault {

ScheduledFault reset(std::uint64_t after_body_bytes);
ScheduledFault truncate(std::uint64_t after_body_bytes);
ScheduledFault stall(std::uint64_t after_body_bytes);
ScheduledFault alert(std::uint64_t after_body_bytes);
ScheduledFault bad_record(std::uint64_t after_body_bytes);
ScheduledFault cut_header(std::uint64_t after_header_bytes, Cut::How how);
ScheduledFault trickle(std::uint64_t bytes, std::chrono::microseconds interval);
ScheduledFault late_first_byte(std::chrono::microseconds delay);

ScheduledFault error(unsigned status, std::string code);
ScheduledFault slow_down(std::optional<unsigned> retry_after_seconds = {}); // 503
ScheduledFault internal_error();                                            // 500
ScheduledFault too_many_requests();                                         // 429
ScheduledFault request_timeout();                                           // 400 RequestTimeout
ScheduledFault forbidden();                                                 // 403
ScheduledFault no_such_key();                                               // 404
ScheduledFault precondition_failed();                                       // 412
ScheduledFault range_not_satisfiable();                                     // 416, though the range is fine
ScheduledFault region_redirect(std::string region);                         // 301 with x-amz-bucket-region
ScheduledFault temporary_redirect(std::string location);                    // 307
ScheduledFault redirect(unsigned status, std::string location);
ScheduledFault error_in_200();

ScheduledFault replace_object(std::string bytes);
ScheduledFault new_etag();
ScheduledFault wrong_etag(); // the header lies, the bytes are right

ScheduledFault whole_body();
// As long as what was asked for, of the right object, from another place: as far off as the object goes.
ScheduledFault shifted_range(std::int64_t by);
ScheduledFault multipart();
ScheduledFault chunked();
ScheduledFault set_header(const std::string& name, std::string value);
ScheduledFault duplicate_header(const std::string& name, std::string value);
ScheduledFault remove_header(const std::string& name);
ScheduledFault gzip();
ScheduledFault gzip_header(); // it lies, the bytes are right
ScheduledFault wrong_content_range(std::string value = "bytes 1-2/3");
ScheduledFault wrong_content_length(std::int64_t off_by);
ScheduledFault http_1_0();
ScheduledFault connection_close();
ScheduledFault unannounced_close();
ScheduledFault garbage(std::string bytes = {}); // empty: an SSH greeting
ScheduledFault interim(std::string answers = "HTTP/1.1 100 Continue\r\n\r\n");

ScheduledFault at_connect(ConnectFault kind); // with nth_connection, or every_request for all connections
ScheduledFault in_handshake(std::uint64_t after_bytes, ConnectFault kind); // just so

} // namespace fault
} // namespace tmpdump::test
