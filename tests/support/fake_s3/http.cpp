// SPDX-License-Identifier: Apache-2.0
#include "support/fake_s3/http.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>

namespace tmpdump::test {
namespace {

bool same_name(std::string_view a, std::string_view b) {
  return lower(a) == lower(b);
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

std::string hex_of(std::uint64_t value) {
  std::array<char, 17> text{};
  const int length = std::snprintf(text.data(), text.size(), "%llx", static_cast<unsigned long long>(value));
  return {text.data(), static_cast<std::size_t>(length)};
}

std::string formatted_date(std::time_t time, const char* format) {
  std::tm parts{};
  gmtime_r(&time, &parts);
  std::array<char, 64> text{};
  return {text.data(), std::strftime(text.data(), text.size(), format, &parts)};
}

} // namespace

std::optional<std::string> find(const HeaderList& list, std::string_view name) {
  for (const auto& [key, value] : list)
    if (key == name) return value;
  return std::nullopt;
}

std::optional<std::string> Request::header(std::string_view name) const {
  return find(headers, name);
}
std::string_view Request::raw_path() const {
  return std::string_view(target).substr(0, target.find('?'));
}
std::string_view Request::raw_query() const {
  const auto mark = target.find('?');
  return mark == std::string::npos ? std::string_view() : std::string_view(target).substr(mark + 1);
}

HeaderList query_of(const Request& request) {
  HeaderList list;
  std::string_view rest = request.raw_query();
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    if (pair.empty()) continue;
    const auto equals = pair.find('=');
    list.emplace_back(percent_decode(pair.substr(0, equals)),
                      equals == std::string_view::npos ? "" : percent_decode(pair.substr(equals + 1)));
  }
  return list;
}

std::string percent_decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0) {
      out += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
      i += 2;
    } else {
      out += text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

std::string percent_encode(std::string_view text, bool keep_slash) {
  static constexpr std::string_view unreserved =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  static constexpr std::string_view digits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if (unreserved.find(c) != std::string_view::npos || (c == '/' && keep_slash)) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += '%';
      out += digits[byte >> 4];
      out += digits[byte & 15];
    }
  }
  return out;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

std::string xml_escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else
      out += c;
  }
  return out;
}

std::string http_date(std::time_t time) {
  return formatted_date(time, "%a, %d %b %Y %H:%M:%S GMT");
}
std::string iso8601_date(std::time_t time) {
  return formatted_date(time, "%Y-%m-%dT%H:%M:%S.000Z");
}

void Answer::erase(std::string_view name) {
  std::erase_if(headers, [&](const auto& header) { return same_name(header.first, name); });
}
void Answer::set(std::string_view name, std::string value) {
  erase(name);
  headers.emplace_back(name, std::move(value));
}

std::uint64_t Answer::body_size() const {
  std::uint64_t size = 0;
  for (const Segment& segment : body)
    size += segment.size();
  return size;
}

std::string Answer::head() const {
  std::string text = version + " " + std::to_string(status) + " " + std::string(reason_of(status)) + "\r\n";
  for (const auto& [name, value] : headers)
    text.append(name).append(": ").append(value).append("\r\n");
  return text + "\r\n";
}

void Answer::frame_by_length() {
  erase("Transfer-Encoding");
  set("Content-Length", std::to_string(body_size()));
}

void Answer::frame_by_chunks() {
  constexpr std::uint64_t chunk = 65'536;
  erase("Content-Length");
  set("Transfer-Encoding", "chunked");
  std::vector<Segment> framed;
  for (Segment& segment : body) {
    for (std::uint64_t at = 0; at < segment.size(); at += chunk) {
      const std::uint64_t length = std::min(chunk, segment.size() - at);
      framed.push_back({.text = hex_of(length) + "\r\n", .object = nullptr});
      if (segment.object) {
        framed.push_back(
            {.text = "", .object = segment.object, .offset = segment.offset + at, .length = length});
      } else {
        framed.push_back({.text = segment.text.substr(at, length), .object = nullptr});
      }
      framed.push_back({.text = "\r\n", .object = nullptr});
    }
  }
  framed.push_back({.text = "0\r\n\r\n", .object = nullptr});
  body = std::move(framed);
}

std::string_view reason_of(unsigned status) {
  switch (status) {
  case 100:
    return "Continue";
  case 200:
    return "OK";
  case 206:
    return "Partial Content";
  case 301:
    return "Moved Permanently";
  case 307:
    return "Temporary Redirect";
  case 400:
    return "Bad Request";
  case 403:
    return "Forbidden";
  case 404:
    return "Not Found";
  case 405:
    return "Method Not Allowed";
  case 411:
    return "Length Required";
  case 412:
    return "Precondition Failed";
  case 416:
    return "Requested Range Not Satisfiable";
  case 429:
    return "Too Many Requests";
  case 500:
    return "Internal Server Error";
  case 501:
    return "Not Implemented";
  case 503:
    return "Slow Down";
  default:
    return "Status";
  }
}

} // namespace tmpdump::test
