// SPDX-License-Identifier: Apache-2.0
#include "credentials/timestamp.h"

#include <algorithm>
#include <optional>
#include <string>

namespace tmpdump::credentials {
namespace {

using namespace std::chrono;

// Takes pieces off the front; after the first that does not fit, ok() is false for good.
class Cursor {
public:
  explicit Cursor(std::string_view text) : rest_(text) {}

  int number(std::size_t digits, int least, int most) {
    int value = 0;
    for (std::size_t i = 0; i < digits; ++i)
      value = value * 10 + digit();
    ok_ = ok_ && value >= least && value <= most;
    return value;
  }
  void skip(std::string_view any_of) {
    if (!next_is(any_of)) ok_ = false;
    if (!rest_.empty()) rest_.remove_prefix(1);
  }
  [[nodiscard]] bool next_is(std::string_view any_of) const {
    return !rest_.empty() && any_of.find(rest_.front()) != any_of.npos;
  }
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] bool at_end() const { return rest_.empty(); }

private:
  int digit() {
    if (!next_is("0123456789")) {
      ok_ = false;
      return 0;
    }
    const int value = rest_.front() - '0';
    rest_.remove_prefix(1);
    return value;
  }
  std::string_view rest_;
  bool ok_ = true;
};

std::optional<system_clock::time_point> parse(std::string_view text) {
  Cursor cursor(text);
  const int y = cursor.number(4, 0, 9999);
  cursor.skip("-");
  const int m = cursor.number(2, 1, 12);
  cursor.skip("-");
  const int d = cursor.number(2, 1, 31);
  cursor.skip("Tt ");
  const int hour = cursor.number(2, 0, 23);
  cursor.skip(":");
  const int minute = cursor.number(2, 0, 59);
  cursor.skip(":");
  const int second = cursor.number(2, 0, 60); // 60: a leap second
  if (cursor.next_is(".")) {
    cursor.skip(".");
    cursor.number(1, 0, 9);
    while (cursor.next_is("0123456789"))
      cursor.number(1, 0, 9);
  }
  minutes offset{0};
  if (cursor.next_is("Zz")) {
    cursor.skip("Zz");
  } else {
    const bool west = cursor.next_is("-");
    cursor.skip("+-");
    offset = hours(cursor.number(2, 0, 23));
    cursor.skip(":");
    offset += minutes(cursor.number(2, 0, 59));
    if (west) offset = -offset;
  }
  const year_month_day date{year(std::clamp(y, 1969, 2200)), month(static_cast<unsigned>(m)),
                            day(static_cast<unsigned>(d))};
  const bool is_date = year_month_day{year(y), date.month(), date.day()}.ok();
  if (!cursor.ok() || !cursor.at_end() || !is_date) return {};
  if (y < 1970) return system_clock::time_point{};
  constexpr sys_days last{year(2200) / January / 1};
  if (y >= 2200) return last;
  return sys_days(date) + hours(hour) + minutes(minute) + seconds(second) - offset;
}

} // namespace

result<system_clock::time_point> parse_timestamp(std::string_view text) {
  if (const auto time = parse(text)) return *time;
  return Failure{Errc::network, "'" + printable(text, 64) + "' is not a time such as 2030-01-02T03:04:05Z"};
}

} // namespace tmpdump::credentials
