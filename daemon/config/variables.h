// SPDX-License-Identifier: Apache-2.0
// Typed reading of environment variables; every failure names the variable, its value unless that is a
// secret, and what is accepted.
#pragma once

#include "config/options.h"

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace tmpdump::config {

// "NAME='value': expected a whole number from 1 to 64". For options too, with name "--connections".
Failure bad_value(std::string_view name, std::string_view value, std::string_view expected);

// Puts "NAME=" before a failure of uri.h's functions, whose message begins with the quoted text.
Failure named(std::string_view name, const Failure& failure);

class Variables {
public:
  explicit Variables(const Environment& environment) : environment_(environment) {}

  [[nodiscard]] std::optional<std::string> text(std::string_view name) const; // empty counts as unset
  [[nodiscard]] result<std::optional<unsigned>> whole_number(std::string_view name, unsigned least,
                                                             unsigned most) const;
  // true, false, 1, 0, in any case: AWS's SDKs' AWS_USE_* variables.
  [[nodiscard]] result<bool> boolean(std::string_view name) const; // unset: false
  // A secret that goes into a header: visible ASCII and inner spaces, never echoed.
  [[nodiscard]] result<Secret> header_secret(std::string_view name) const;

  // The value of the matching word, or `otherwise` when unset.
  template <class T>
  [[nodiscard]] result<T> one_of(std::string_view name,
                                 std::initializer_list<std::pair<std::string_view, T>> words,
                                 std::type_identity_t<T> otherwise) const {
    const auto value = text(name);
    if (!value) return otherwise;
    std::string expected = "expected";
    for (const auto& [word, meaning] : words) {
      if (*value == word) return meaning;
      expected.append(expected.size() > 8 ? " or " : " ").append(word);
    }
    return bad_value(name, *value, expected);
  }

private:
  const Environment& environment_;
};

} // namespace tmpdump::config
