// SPDX-License-Identifier: Apache-2.0
#include "support/fake_s3/fault_schedule.h"

#include <zlib.h>

#include <algorithm>
#include <stdexcept>
#include <unistd.h>

namespace tmpdump::test {
namespace {

bool meets(const When& when, const RequestRecord& request) {
  if (!when.method.empty() && when.method != request.method) return false;
  if (!when.key.empty() && when.key != request.key) return false;
  if (when.connection && *when.connection != request.connection) return false;
  if (request.attempt > when.first_attempts) return false;
  if (!when.range.empty() && when.range != request.range) return false;
  if (when.begins_at && when.begins_at != request.first_byte) return false;
  return !when.touches_byte || (request.first_byte && *when.touches_byte >= *request.first_byte &&
                                *when.touches_byte - *request.first_byte < request.length);
}

std::string text_of(const Segment& segment) {
  if (!segment.object) return segment.text;
  std::string text(segment.length, '\0');
  const ssize_t n =
      ::pread(segment.object->fd.get(), text.data(), text.size(), static_cast<off_t>(segment.offset));
  if (n != static_cast<ssize_t>(text.size())) throw std::runtime_error("fake S3: an object was cut short");
  return text;
}

std::string gzipped(std::string text) {
  z_stream stream{};
  if (deflateInit2(&stream, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    throw std::runtime_error("fake S3: zlib");
  std::string out(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(text.data());
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int status = deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  if (status != Z_STREAM_END) throw std::runtime_error("fake S3: zlib");
  return out;
}

// To the other side where the object ends; a range that is all of the object stays where it is.
void shift_range(std::int64_t by, Answer& answer) {
  if (answer.status != 206 || answer.body.size() != 1 || !answer.body.front().object) return;
  Segment& part = answer.body.front();
  const auto room = static_cast<std::int64_t>(part.object->size - part.length);
  const auto asked = static_cast<std::int64_t>(part.offset);
  std::int64_t at = std::clamp(asked + by, std::int64_t{0}, room);
  if (at == asked) at = std::clamp(asked - by, std::int64_t{0}, room);
  part.offset = static_cast<std::uint64_t>(at);
  answer.set("Content-Range", "bytes " + std::to_string(part.offset) + "-" +
                                  std::to_string(part.offset + part.length - 1) + "/" +
                                  std::to_string(part.object->size));
}

} // namespace

bool FaultSchedule::is_due(Entry& entry) {
  const When& when = entry.fault.when;
  const std::uint64_t index = entry.met++;
  if (index < when.skip) return false;
  const std::uint64_t every = std::max<std::uint64_t>(when.every, 1);
  const std::uint64_t after = index - when.skip;
  return after % every == 0 && after / every < when.count;
}

void FaultSchedule::add(Fault fault) {
  const std::lock_guard lock(mutex_);
  entries_.push_back({std::move(fault)});
}

void FaultSchedule::clear() {
  const std::lock_guard lock(mutex_);
  entries_.clear();
}

std::optional<Fault> FaultSchedule::for_request(const RequestRecord& request) {
  const std::lock_guard lock(mutex_);
  Entry* striking = nullptr;
  for (Entry& entry : entries_)
    if (entry.fault.connect == ConnectFault::none && meets(entry.fault.when, request) && is_due(entry) &&
        striking == nullptr)
      striking = &entry;
  if (striking == nullptr) return std::nullopt;
  return striking->fault;
}

std::optional<Fault> FaultSchedule::for_connection(std::uint64_t connection) {
  const std::lock_guard lock(mutex_);
  Entry* striking = nullptr;
  for (Entry& entry : entries_)
    if (entry.fault.connect != ConnectFault::none &&
        (!entry.fault.when.connection || *entry.fault.when.connection == connection) && is_due(entry) &&
        striking == nullptr)
      striking = &entry;
  if (striking == nullptr) return std::nullopt;
  return striking->fault;
}

void bend_body(const Fault& fault, Answer& answer) {
  if (fault.shift != 0) shift_range(fault.shift, answer);
  if (fault.gzip) {
    std::string whole;
    for (const Segment& segment : answer.body)
      whole += text_of(segment);
    answer.body = {Segment{.text = gzipped(std::move(whole)), .object = nullptr}};
  }
  if (!fault.multipart || answer.status != 206) return;
  const std::string boundary = "fake-s3-boundary";
  const std::string range = find(answer.headers, "Content-Range").value_or("");
  answer.erase("Content-Range");
  answer.set("Content-Type", "multipart/byteranges; boundary=" + boundary);
  answer.body.insert(answer.body.begin(), Segment{.text = "--" + boundary +
                                                          "\r\nContent-Type: binary/octet-stream\r\n"
                                                          "Content-Range: " +
                                                          range + "\r\n\r\n",
                                                  .object = nullptr});
  answer.body.push_back({.text = "\r\n--" + boundary + "--\r\n", .object = nullptr});
}

void bend_head(const Fault& fault, Answer& answer) {
  if (fault.http_1_0) {
    answer.version = "HTTP/1.0";
    answer.erase("Accept-Ranges");
  }
  if (fault.content_length_off_by != 0) {
    const auto length = static_cast<std::int64_t>(answer.body_size()) + fault.content_length_off_by;
    answer.set("Content-Length", std::to_string(std::max<std::int64_t>(length, 0)));
  }
  if (fault.connection_close) answer.set("Connection", "close");
  for (const HeaderEdit& edit : fault.headers) {
    switch (edit.how) {
    case HeaderEdit::How::replace:
      answer.set(edit.name, edit.value);
      break;
    case HeaderEdit::How::add:
      answer.headers.emplace_back(edit.name, edit.value);
      break;
    case HeaderEdit::How::remove:
      answer.erase(edit.name);
      break;
    }
  }
}

} // namespace tmpdump::test
