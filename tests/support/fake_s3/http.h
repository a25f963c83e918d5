// SPDX-License-Identifier: Apache-2.0
// A request as it came, an answer as it will go, and the little of HTTP and URLs that both need.
#pragma once

#include "support/fake_s3/objects.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tmpdump::test {

using HeaderList = std::vector<std::pair<std::string, std::string>>;

struct Request {
  std::string method;
  std::string target; // raw
  HeaderList headers; // names in lower case, in order of arrival, values trimmed
  std::string body;   // whole
  bool keep_alive = true;

  [[nodiscard]] std::optional<std::string> header(std::string_view name) const; // the first one
  [[nodiscard]] std::string_view raw_path() const;
  [[nodiscard]] std::string_view raw_query() const; // without '?'
};

// Decoded names and values in order of arrival. '+' is a space, as S3 has it.
HeaderList query_of(const Request& request);
std::optional<std::string> find(const HeaderList& list, std::string_view name);

// %XX and '+' decoded; a bad escape stays as it is.
std::string percent_decode(std::string_view text);
// All but A-Z a-z 0-9 - . _ ~ as %XX, '/' too unless it is kept.
std::string percent_encode(std::string_view text, bool keep_slash);
std::string lower(std::string_view text);
std::string xml_escape(std::string_view text);
std::string http_date(std::time_t time);    // Sun, 06 Nov 1994 08:49:37 GMT
std::string iso8601_date(std::time_t time); // 1994-11-06T08:49:37.000Z

// Text, or a slice of an object, which goes from the page cache to the socket without a copy.
struct Segment {
  std::string text;
  std::shared_ptr<const Object> object;
  std::uint64_t offset = 0;
  std::uint64_t length = 0; // of the slice
  [[nodiscard]] std::uint64_t size() const { return object ? length : text.size(); }
};

struct Answer {
  unsigned status = 200;
  HeaderList headers;
  std::vector<Segment> body;
  bool head_only = false; // the answer to HEAD: the body's length counts, its bytes stay here
  std::string version = "HTTP/1.1";

  void set(std::string_view name, std::string value); // replaces all of that name
  void erase(std::string_view name);
  [[nodiscard]] std::uint64_t body_size() const;
  [[nodiscard]] std::string head() const; // status line and headers as they go on the wire
  void frame_by_length();                 // adds Content-Length
  void frame_by_chunks();                 // adds Transfer-Encoding: chunked, cuts the body into chunks
};

std::string_view reason_of(unsigned status);

} // namespace tmpdump::test
