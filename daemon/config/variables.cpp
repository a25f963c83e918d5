// SPDX-License-Identifier: Apache-2.0
#include "config/variables.h"

#include <algorithm>
#include <charconv>

namespace tmpdump::config {

Failure bad_value(std::string_view name, std::string_view value, std::string_view expected) {
  return {Errc::usage,
          std::string(name).append("='").append(printable(value)).append("': ").append(expected)};
}

Failure named(std::string_view name, const Failure& failure) {
  return {failure.code, std::string(name).append("=").append(failure.message)};
}

std::optional<std::string> Variables::text(std::string_view name) const {
  auto value = environment_(name);
  if (value && value->empty()) value.reset();
  return value;
}

result<std::optional<unsigned>> Variables::whole_number(std::string_view name, unsigned least,
                                                        unsigned most) const {
  const auto value = text(name);
  if (!value) return std::optional<unsigned>();
  unsigned number = 0;
  const char* const end = value->data() + value->size();
  const auto [stop, error] = std::from_chars(value->data(), end, number);
  if (error != std::errc() || stop != end || number < least || number > most)
    return bad_value(name, *value,
                     "expected a whole number from " + std::to_string(least) + " to " + std::to_string(most));
  return std::optional(number);
}

result<bool> Variables::boolean(std::string_view name) const {
  const auto value = text(name);
  if (!value) return false;
  std::string lower = *value;
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  if (lower == "true" || lower == "1") return true;
  if (lower == "false" || lower == "0") return false;
  return bad_value(name, *value, "expected true or false");
}

result<Secret> Variables::header_secret(std::string_view name) const {
  auto value = text(name);
  if (!value) return Secret();
  if (std::any_of(value->begin(), value->end(), [](char c) { return c < ' ' || c > '~'; }))
    return Failure{Errc::usage, std::string(name) + ": has a line break or another character that a header "
                                                    "cannot hold (the value is not shown)"};
  return Secret(std::move(*value));
}

} // namespace tmpdump::config
