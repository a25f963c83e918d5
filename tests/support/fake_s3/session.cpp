// SPDX-License-Identifier: Apache-2.0
#include "support/fake_s3/session.h"

#include "support/fake_s3/auth.h"
#include "support/fake_s3/request_reader.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <ctime>

namespace tmpdump::test {
namespace asio = boost::asio;

Shared::Shared(FakeS3Options given)
    : options(std::move(given)), objects(options.root, options.region), service(objects, options),
      log(options.keep_log, options.verbose),
      total(options.shape.total_bytes_per_second, options.shape.burst_bytes,
            options.shape.burst_bytes_per_second) {}

std::time_t Shared::now() const {
  return std::time(nullptr) + static_cast<std::time_t>(clock_offset.load());
}

Session::Session(Shared& shared, std::unique_ptr<Stream> stream, std::uint64_t number)
    : shared_(shared), stream_(std::move(stream)), number_(number), timer_(stream_->socket().get_executor()),
      own_rate_(shared.options.shape.connection_bytes_per_second) {
  ++shared_.open;
}

void Session::reset() {
  stream_->reset();
  timer_.cancel();
}

asio::awaitable<void> Session::run() {
  const auto fault = shared_.faults.for_connection(number_);
  if (fault) {
    co_await strike(*stream_, fault->connect, fault->handshake_bytes);
    co_return;
  }
  bool goes_on = co_await stream_->handshake(forever);
  RequestReader reader(*stream_);
  while (goes_on) {
    const auto request = co_await reader.read();
    if (!request) break;
    goes_on = co_await serve(*request);
  }
  if (stream_->socket().is_open()) co_await stream_->close();
}

RequestRecord Session::describe(const Request& request) const {
  const Address address = address_of(request);
  RequestRecord record;
  record.connection = number_;
  record.method = request.method;
  record.target = request.target;
  record.host = request.header("host").value_or("");
  record.bucket = address.bucket;
  record.key = address.key;
  record.range = request.header("range");
  record.if_match = request.header("if-match");
  record.signed_how = read_signature(request).signature.how;
  record.at = std::chrono::steady_clock::now();
  if (const auto object = shared_.objects.find(address.bucket, address.key)) {
    record.first_byte = 0;
    record.length = object->size;
    const auto range = resolve_range(record.range.value_or(""), object->size);
    if (range.kind == ResolvedRange::Kind::part) {
      record.first_byte = range.first;
      record.length = range.length;
    }
  }
  return record;
}

Answer Session::make_answer(const Request& request, const RequestRecord& record, const Fault& fault) const {
  Answer answer;
  if (fault.error) {
    answer = error_answer(*fault.error, "/" + record.bucket + "/" + record.key);
  } else {
    answer = shared_.service.answer(request, shared_.now(), fault.ignore_range);
  }
  bend_body(fault, answer);
  answer.head_only = request.method == "HEAD";
  answer.headers.insert(answer.headers.begin(), {{"x-amz-id-2", "fake"},
                                                 {"x-amz-request-id", "FAKE" + std::to_string(record.number)},
                                                 {"Date", http_date(shared_.now())},
                                                 {"Server", "AmazonS3"}});
  // S3 sends its errors in chunks.
  const bool in_chunks = fault.chunked || (answer.status >= 300 && fault.content_length_off_by == 0);
  if (in_chunks && !fault.http_1_0)
    answer.frame_by_chunks();
  else
    answer.frame_by_length();
  if (!request.keep_alive) answer.set("Connection", "close");
  bend_head(fault, answer);
  return answer;
}

Session::Awaited Session::serve(const Request& request) {
  RequestRecord record = describe(request);
  shared_.log.arrived(record);
  const Fault fault = shared_.faults.for_request(record).value_or(Fault{});
  record.fault = fault.name;
  if (fault.replace_object)
    shared_.objects.put(record.bucket, record.key, bytes_of(std::string_view(*fault.replace_object)));
  if (fault.new_etag) shared_.objects.new_etag(record.bucket, record.key);
  const Answer answer = make_answer(request, record, fault);
  record.status = fault.raw ? 0 : answer.status;
  shared_.log.struck(record);

  const Shape& shape = shared_.options.shape;
  const bool slow = shape.slow_every != 0 && record.number % shape.slow_every == 0;
  co_await wait_until(record.at + (slow ? shape.slow_first_byte : shape.first_byte) + fault.first_byte_delay);

  bool goes_on = co_await send(answer, fault, record);
  record.finished = true;
  shared_.log.finished(record);
  const bool closing = lower(find(answer.headers, "Connection").value_or("")) == "close";
  if (closing || fault.close_after || fault.http_1_0 || fault.content_length_off_by != 0) goes_on = false;
  co_return goes_on;
}

Session::Awaited Session::send(const Answer& answer, const Fault& fault, RequestRecord& record) {
  if (fault.raw) {
    co_await stream_->write(*fault.raw);
    co_return false;
  }
  std::string head = fault.interim + answer.head();
  if (fault.cut && fault.cut->part == Cut::Part::header) {
    co_await stream_->write(std::string_view(head).substr(0, fault.cut->after));
    co_await end(fault.cut->how);
    co_return false;
  }
  const bool written = co_await stream_->write(head);
  if (!written) co_return false;
  if (answer.head_only) co_return true;
  co_return co_await send_body(answer, fault, record);
}

Session::Awaited Session::send_body(const Answer& answer, const Fault& fault, RequestRecord& record) {
  const std::uint64_t limit = fault.cut ? fault.cut->after : forever;
  const bool shaped = shared_.total.limits() || own_rate_.limits();
  std::uint64_t piece = shaped ? shaped_slice : forever;
  if (fault.trickle) piece = std::min(piece, std::max<std::uint64_t>(fault.trickle->bytes, 1));

  for (const Segment& segment : answer.body) {
    for (std::uint64_t at = 0; at < segment.size();) {
      const std::uint64_t left = limit - record.body_bytes_sent;
      const std::uint64_t length = std::min({piece, segment.size() - at, left});
      if (length == 0) {
        co_await end(fault.cut->how);
        co_return false;
      }
      const auto now = TokenBucket::Clock::now();
      if (shaped)
        co_await wait_until(std::max(shared_.total.reserve(length, now), own_rate_.reserve(length, now)));
      if (fault.trickle) co_await wait_until(now + fault.trickle->interval);
      const bool sent = co_await send_slice(segment, at, length, record.body_bytes_sent);
      if (!sent) co_return false;
      at += length;
    }
  }
  if (fault.cut) {
    // The whole body was shorter than the cut: still the fault that was asked for.
    co_await end(fault.cut->how);
    co_return false;
  }
  co_return true;
}

asio::awaitable<bool> Session::send_slice(const Segment& segment, std::uint64_t offset, std::uint64_t length,
                                          std::uint64_t& sent) {
  if (segment.object)
    co_return co_await stream_->send_file(segment.object->fd.get(), segment.offset + offset, length, sent);
  const bool written = co_await stream_->write(std::string_view(segment.text).substr(offset, length));
  if (written) sent += length;
  co_return written;
}

asio::awaitable<void> Session::end(Cut::How how) {
  switch (how) {
  case Cut::How::reset:
    stream_->reset();
    break;
  case Cut::How::close:
    co_await stream_->close();
    break;
  case Cut::How::stall:
    co_await wait_for_leave(*stream_);
    break;
  case Cut::How::alert:
    co_await stream_->alert();
    co_await stream_->close();
    break;
  case Cut::How::bad_record:
    co_await stream_->bad_record();
    co_await stream_->close();
    break;
  }
}

asio::awaitable<void> Session::wait_until(TokenBucket::Clock::time_point when) {
  if (when <= TokenBucket::Clock::now()) co_return;
  timer_.expires_at(when);
  co_await timer_.async_wait(asio::as_tuple(asio::use_awaitable)); // cut short by reset() alone
}

} // namespace tmpdump::test
