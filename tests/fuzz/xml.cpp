// SPDX-License-Identifier: Apache-2.0
// What the head and the body of an S3 answer say: error documents, ranges, dates.
#include "fuzz.h"
#include "s3/response.h"

#include <string>
#include <variant>

using namespace tmpdump;
using namespace tmpdump::fuzz;

namespace {

void check_document(std::string_view xml) {
  const auto document = s3::parse_error_document(xml);
  for (const auto* text : {&document.code, &document.message, &document.region})
    require(text->size() <= 512, "a text is at most 512 bytes");
  static_cast<void>(s3::is_retryable(400, document.code));
}

s3::GetRequest request_of(std::uint8_t form, std::uint64_t offset, std::uint64_t length) {
  s3::GetRequest request;
  if (form % 2 == 0)
    request.range = s3::Slice{offset >> 2U, 1 + (length >> 2U)};
  else
    request.range = s3::Suffix{length};
  return request;
}

void check_extent(const s3::GetRequest& request, const net::ResponseHead& head) {
  const auto extent = s3::check_extent(head, request);
  if (!extent) return require_message(extent.error().failure);
  require(extent->length == head.content_length, "the length is the announced one");
  require(extent->offset <= extent->object_size && extent->length <= extent->object_size - extent->offset,
          "the extent lies in the object");
  if (const auto* slice = std::get_if<s3::Slice>(&request.range)) {
    require(extent->offset == slice->offset && extent->length <= slice->length,
            "no byte that was not asked for");
  } else {
    require(extent->offset + extent->length == extent->object_size, "a suffix reaches the end");
  }
}

} // namespace

FUZZ_TARGET(xml) {
  const auto form = input.number<std::uint8_t>();
  const auto request = request_of(form, input.number<std::uint64_t>(), input.number<std::uint64_t>());
  net::ResponseHead head;
  head.status = (form & 2U) != 0 ? 206 : 200;
  if ((form & 4U) != 0) head.content_length = input.number<std::uint64_t>();
  const auto text = text_of(input.rest());
  check_document(text);
  for (const char* name : {"content-range", "content-type", "content-encoding", "etag"}) {
    if ((form & 8U) != 0 || std::string_view(name) == "content-range") head.headers.emplace_back(name, text);
  }
  check_extent(request, head);
  if (const auto range = s3::parse_content_range(text)) {
    require(range->first <= range->last && range->last < range->size, "a range lies in its object");
    // The answer that was asked for.
    net::ResponseHead fitting = head;
    fitting.status = 206;
    fitting.content_length = range->last - range->first + 1;
    check_extent(request, fitting);
    check_extent({.range = s3::Slice{range->first, *fitting.content_length}, .if_match = {}}, fitting);
  }
  if (const auto wish = s3::parse_retry_after(text))
    require(wish->count() >= 0 && wish->count() <= 10'000, "at most ten seconds");
  static_cast<void>(s3::parse_http_date(text));
}
