// SPDX-License-Identifier: Apache-2.0
#include "base/bytes.h"
#include "base/error.h"
#include "base/secret.h"
#include "base/task_failure.h"
#include "support/catch.h"

#include <boost/system/system_error.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <new>
#include <ostream>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

using namespace tmpdump;

namespace {

std::string utf8(char32_t point) {
  const auto byte = [](char32_t bits) { return static_cast<char>(static_cast<unsigned char>(bits)); };
  if (point < 0x80) return {byte(point)};
  const std::string last{byte(0x80 | (point & 0x3F))};
  if (point < 0x800) return byte(0xC0 | (point >> 6)) + last;
  const std::string third = byte(0x80 | ((point >> 6) & 0x3F)) + last;
  if (point < 0x10000) return byte(0xE0 | (point >> 12)) + third;
  return byte(0xF0 | (point >> 18)) + (byte(0x80 | ((point >> 12) & 0x3F)) + third);
}

} // namespace

TEST_CASE("printable text cannot forge a log line or move the cursor") {
  CHECK(printable("lib/libx.so.4") == "lib/libx.so.4");
  CHECK(printable("a\nb\x1b[2J") == "a\\x0ab\\x1b[2J");
  CHECK(printable("gr\xc3\xbc\xc3\x9f") == "gr\xc3\xbc\xc3\x9f");
  CHECK(printable("\xc2\x9b"
                  "2J") == "\\xc2\\x9b2J");              // C1 CSI
  CHECK(printable("\xed\xa0\x80") == "\\xed\\xa0\\x80"); // a surrogate
  CHECK(printable("\xc0\xaf") == "\\xc0\\xaf");          // overlong slash
  CHECK(printable("say \"hi\"\\") == "say \\\"hi\\\"\\\\");
  CHECK(printable(std::string(10, 'x'), 4) == "xxxx...");
  CHECK(printable(std::string_view("\0", 1)) == "\\x00");
}

TEST_CASE("characters that turn a line's direction, end it, or are invisible are escaped; letters stay") {
  // By UnicodeData.txt: on either side of each of these ranges of Cc, Cf, Zl and Zp stands something else.
  const std::vector<std::pair<char32_t, char32_t>> ranges{
      {0x7F, 0x9F},       {0xAD, 0xAD},       {0x600, 0x605},     {0x61C, 0x61C},     {0x6DD, 0x6DD},
      {0x70F, 0x70F},     {0x890, 0x891},     {0x8E2, 0x8E2},     {0x180E, 0x180E},   {0x200B, 0x200F},
      {0x2028, 0x202E},   {0x2060, 0x2064},   {0x2066, 0x206F},   {0xFEFF, 0xFEFF},   {0xFFF9, 0xFFFB},
      {0x110BD, 0x110BD}, {0x110CD, 0x110CD}, {0x13430, 0x1343F}, {0x1BCA0, 0x1BCA3}, {0x1D173, 0x1D17A},
      {0xE0001, 0xE0001}, {0xE0020, 0xE007F}};
  const auto is_shown = [](char32_t point) { return printable(utf8(point)) == utf8(point); };
  std::vector<char32_t> wrong;
  for (char32_t point = 0x20; point <= 0x10FFFF; ++point) {
    if (point >= 0xD800 && point <= 0xDFFF) continue;
    const bool in_range = std::any_of(ranges.begin(), ranges.end(), [&](const auto& range) {
      return range.first <= point && point <= range.second;
    });
    const bool quoted = point == '"' || point == '\\';
    if (is_shown(point) == (in_range || quoted)) wrong.push_back(point);
  }
  CHECK(wrong.empty());
  CHECK(printable("a\u202egpj.so") == "a\\xe2\\x80\\xaegpj.so");
  CHECK(printable("a\u2028b") == "a\\xe2\\x80\\xa8b");
  CHECK(printable("\U000E0041") == "\\xf3\\xa0\\x81\\x81"); // a tag: nobody sees it
  for (const std::string letters : {"Größe", "библиотека", "ライブラリ", "מילון", "e\u0301", "😀"})
    CHECK(printable(letters) == letters);
}

TEST_CASE("what is no UTF-8 is escaped byte by byte, and what follows is not lost") {
  for (const std::string bad : {"\xc3", "\xe2\x80", "\xf0\x9f\x98", "\x80", "\xff", "\xf4\x90\x80\x80",
                                "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf", "\xed\xbf\xbf"}) {
    std::string shown;
    for (const char byte : bad) {
      char hex[5];
      (void)std::snprintf(hex, sizeof hex, "\\x%02x", static_cast<unsigned char>(byte));
      shown += hex;
    }
    CHECK(printable(bad) == shown);
    CHECK(printable(bad + "z") == shown + "z");
  }
}

TEST_CASE("exit status tells scripts what happened") {
  CHECK(exit_status(Errc::usage) == 2);
  CHECK(exit_status(Errc::not_found) == 3);
  CHECK(exit_status(Errc::bad_archive) == 4);
  CHECK(exit_status(Errc::denied) == 5);
  CHECK(exit_status(Errc::network) == 1);
  CHECK(exit_status(Errc::no_space) == 1);
}

TEST_CASE("errno maps to the code that a person can act on") {
  CHECK(system_failure("write 'a'", ENOSPC).code == Errc::no_space);
  CHECK(system_failure("write 'a'", EDQUOT).code == Errc::no_space);
  CHECK(system_failure("open 'a'", EACCES).code == Errc::denied);
  CHECK(system_failure("open 'a'", ENOENT).message == "open 'a': No such file or directory");
}

template <class T>
concept Streamable = requires(std::ostream& out, const T& value) {
  out << value;
};
static_assert(!Streamable<Secret>);
static_assert(!std::is_convertible_v<Secret, std::string>);
static_assert(!std::is_convertible_v<Secret, std::string_view>);

TEST_CASE("a moved-from secret keeps nothing") {
  Secret a{std::string("short")};
  const Secret b = std::move(a);
  CHECK(a.empty()); // NOLINT(bugprone-use-after-move,clang-analyzer-cplusplus.Move): the point of the test
  CHECK(b.reveal() == "short");
}

namespace {
result<int> half(int n) {
  if (n % 2 != 0) return Failure{Errc::usage, "odd"};
  return n / 2;
}
result<int> quarter(int n) {
  TMPDUMP_TRY(const int h, half(n));
  TMPDUMP_CHECK(half(h));
  return half(h);
}
} // namespace

TEST_CASE("TMPDUMP_TRY passes values on and failures up") {
  CHECK(quarter(8).value() == 2);
  CHECK(quarter(6).error().message == "odd");
  CHECK(quarter(7).error().within("quarter").message == "quarter: odd");
  CHECK_THROWS_AS(quarter(7).value(), FailureException);
}

TEST_CASE("little-endian loads and checked addition") {
  const auto bytes = bytes_of(std::string_view("\x01\x02\x03\x04\x05\x06\x07\x08", 8));
  CHECK(load_le16(bytes, 0) == 0x0201);
  CHECK(load_le32(bytes, 2) == 0x06050403);
  CHECK(load_le64(bytes, 0) == 0x0807060504030201ULL);
  std::uint64_t sum = 0;
  CHECK(checked_add(1, 2, sum));
  CHECK_FALSE(checked_add(~0ULL, 1, sum));
}

TEST_CASE("what ended a task is its own error, and only a cancellation is one") {
  const auto failure = [](auto thrown) { return failure_of(std::make_exception_ptr(thrown)); };
  const auto stopped = failure(boost::system::system_error(ECANCELED, boost::system::system_category()));
  CHECK(stopped.code == Errc::cancelled);
  const auto refused = failure(boost::system::system_error(EMFILE, boost::system::system_category()));
  CHECK(refused.code == Errc::io);
  CHECK(refused.message.find("Too many open files") != std::string::npos);
  CHECK(failure(std::bad_alloc()).message.find("out of memory") != std::string::npos);
  CHECK(failure(std::runtime_error("start a thread")).message == "start a thread");
}
