// SPDX-License-Identifier: Apache-2.0
#include "base/bytes.h"
#include "base/error.h"
#include "base/secret.h"
#include "base/task_failure.h"
#include "support/catch.h"

#include <boost/system/system_error.hpp>

#include <cerrno>
#include <new>
#include <ostream>
#include <type_traits>

using namespace tmpdump;

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
