// SPDX-License-Identifier: Apache-2.0
#include "support/fake_s3_fault.h"

namespace tmpdump::test::fault {
namespace {

ScheduledFault named(std::string name) {
  ScheduledFault fault;
  fault.name = std::move(name);
  return fault;
}

ScheduledFault cut(std::string name, Cut how) {
  ScheduledFault fault = named(std::move(name));
  fault.cut = how;
  return fault;
}

ScheduledFault edit(std::string name, HeaderEdit change) {
  ScheduledFault fault = named(std::move(name));
  fault.headers.push_back(std::move(change));
  return fault;
}

} // namespace

ScheduledFault reset(std::uint64_t after_body_bytes) {
  return cut("reset", {.after = after_body_bytes, .how = Cut::How::reset});
}
ScheduledFault truncate(std::uint64_t after_body_bytes) {
  return cut("truncate", {.after = after_body_bytes, .how = Cut::How::close});
}
ScheduledFault stall(std::uint64_t after_body_bytes) {
  return cut("stall", {.after = after_body_bytes, .how = Cut::How::stall});
}
ScheduledFault alert(std::uint64_t after_body_bytes) {
  return cut("alert", {.after = after_body_bytes, .how = Cut::How::alert});
}
ScheduledFault bad_record(std::uint64_t after_body_bytes) {
  return cut("bad_record", {.after = after_body_bytes, .how = Cut::How::bad_record});
}
ScheduledFault cut_header(std::uint64_t after_header_bytes, Cut::How how) {
  return cut("cut_header", {.part = Cut::Part::header, .after = after_header_bytes, .how = how});
}
ScheduledFault trickle(std::uint64_t bytes, std::chrono::microseconds interval) {
  ScheduledFault fault = named("trickle");
  fault.trickle = Trickle{.bytes = bytes, .interval = interval};
  return fault;
}
ScheduledFault late_first_byte(std::chrono::microseconds delay) {
  ScheduledFault fault = named("late_first_byte");
  fault.first_byte_delay = delay;
  return fault;
}

ScheduledFault error(unsigned status, std::string code) {
  ScheduledFault fault = named(code);
  fault.error = ErrorAnswer{.status = status, .code = std::move(code)};
  return fault;
}
ScheduledFault slow_down(std::optional<unsigned> retry_after_seconds) {
  ScheduledFault fault = error(503, "SlowDown");
  if (retry_after_seconds) fault.error->headers = {{"Retry-After", std::to_string(*retry_after_seconds)}};
  return fault;
}
ScheduledFault internal_error() {
  return error(500, "InternalError");
}
ScheduledFault too_many_requests() {
  return error(429, "TooManyRequests");
}
ScheduledFault request_timeout() {
  ScheduledFault fault = error(400, "RequestTimeout");
  fault.connection_close = true; // S3 ends the connection after it
  return fault;
}
ScheduledFault forbidden() {
  return error(403, "AccessDenied");
}
ScheduledFault no_such_key() {
  return error(404, "NoSuchKey");
}
ScheduledFault precondition_failed() {
  return error(412, "PreconditionFailed");
}
ScheduledFault range_not_satisfiable() {
  return error(416, "InvalidRange");
}
ScheduledFault region_redirect(std::string region) {
  ScheduledFault fault = error(301, "PermanentRedirect");
  fault.error->headers = {{"x-amz-bucket-region", std::move(region)}};
  return fault;
}
ScheduledFault temporary_redirect(std::string location) {
  return redirect(307, std::move(location));
}
ScheduledFault redirect(unsigned status, std::string location) {
  ScheduledFault fault = error(status, "TemporaryRedirect");
  fault.error->headers = {{"Location", std::move(location)}};
  return fault;
}
ScheduledFault error_in_200() {
  ScheduledFault fault = error(200, "InternalError");
  fault.name = "error_in_200";
  return fault;
}

ScheduledFault replace_object(std::string bytes) {
  ScheduledFault fault = named("replace_object");
  fault.replace_object = std::move(bytes);
  return fault;
}
ScheduledFault new_etag() {
  ScheduledFault fault = named("new_etag");
  fault.new_etag = true;
  return fault;
}
ScheduledFault wrong_etag() {
  return edit("wrong_etag", {.name = "ETag", .value = "\"not-the-etag\""});
}

ScheduledFault whole_body() {
  ScheduledFault fault = named("whole_body");
  fault.ignore_range = true;
  return fault;
}
ScheduledFault shifted_range(std::int64_t by) {
  ScheduledFault fault = named("shifted_range");
  fault.shift = by;
  return fault;
}
ScheduledFault multipart() {
  ScheduledFault fault = named("multipart");
  fault.multipart = true;
  return fault;
}
ScheduledFault chunked() {
  ScheduledFault fault = named("chunked");
  fault.chunked = true;
  return fault;
}
ScheduledFault set_header(const std::string& name, std::string value) {
  return edit("set " + name, {.name = name, .value = std::move(value)});
}
ScheduledFault duplicate_header(const std::string& name, std::string value) {
  return edit("duplicate " + name, {.how = HeaderEdit::How::add, .name = name, .value = std::move(value)});
}
ScheduledFault remove_header(const std::string& name) {
  return edit("remove " + name, {.how = HeaderEdit::How::remove, .name = name});
}
ScheduledFault gzip() {
  ScheduledFault fault = gzip_header();
  fault.name = "gzip";
  fault.gzip = true;
  return fault;
}
ScheduledFault gzip_header() {
  return set_header("Content-Encoding", "gzip");
}
ScheduledFault wrong_content_range(std::string value) {
  return set_header("Content-Range", std::move(value));
}
ScheduledFault wrong_content_length(std::int64_t off_by) {
  ScheduledFault fault = named("wrong_content_length");
  fault.content_length_off_by = off_by;
  return fault;
}
ScheduledFault http_1_0() {
  ScheduledFault fault = named("http_1_0");
  fault.http_1_0 = true;
  return fault;
}
ScheduledFault connection_close() {
  ScheduledFault fault = named("connection_close");
  fault.connection_close = true;
  return fault;
}
ScheduledFault unannounced_close() {
  ScheduledFault fault = named("unannounced_close");
  fault.close_after = true;
  return fault;
}
ScheduledFault garbage(std::string bytes) {
  ScheduledFault fault = named("garbage");
  fault.raw = bytes.empty() ? std::string("SSH-2.0-OpenSSH_9.2\r\n") : std::move(bytes);
  return fault;
}
ScheduledFault interim(std::string answers) {
  ScheduledFault fault = named("interim");
  fault.interim = std::move(answers);
  return fault;
}

ScheduledFault at_connect(ConnectFault kind) {
  ScheduledFault fault = named("at_connect");
  fault.connect = kind;
  return fault;
}

ScheduledFault in_handshake(std::uint64_t after_bytes, ConnectFault kind) {
  ScheduledFault fault = at_connect(kind);
  fault.name = "in_handshake";
  fault.handshake_bytes = after_bytes;
  return fault;
}

} // namespace tmpdump::test::fault
