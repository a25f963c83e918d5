// SPDX-License-Identifier: Apache-2.0
// A string that cannot be printed by accident: no stream operator, no conversion; the bytes come out only
// through reveal(), which is easy to grep for, and are overwritten when the value dies.
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace tmpdump {

// Overwrites what is about to be forgotten, and forgets it.
inline void wipe(std::string& text) noexcept {
  // volatile: the optimizer must not drop stores to memory that is about to be freed.
  volatile char* bytes = text.data();
  for (std::size_t i = 0; i < text.size(); ++i)
    bytes[i] = 0;
  text.clear();
}

// Wipes the string that it was made with at the end of its scope, whatever way out.
class WipedAtEnd {
public:
  explicit WipedAtEnd(std::string& text) : text_(text) {}
  WipedAtEnd(const WipedAtEnd&) = delete;
  WipedAtEnd& operator=(const WipedAtEnd&) = delete;
  ~WipedAtEnd() { wipe(text_); }

private:
  std::string& text_;
};

class Secret {
public:
  Secret() = default;
  explicit Secret(std::string value) : value_(std::move(value)) {}
  Secret(const Secret&) = default;
  Secret(Secret&& other) noexcept : value_(std::move(other.value_)) { other.wipe(); }
  Secret& operator=(const Secret& other) {
    if (this != &other) {
      wipe();
      value_ = other.value_;
    }
    return *this;
  }
  Secret& operator=(Secret&& other) noexcept {
    if (this != &other) {
      wipe();
      value_ = std::move(other.value_);
      other.wipe();
    }
    return *this;
  }
  ~Secret() { wipe(); }

  [[nodiscard]] bool empty() const { return value_.empty(); }
  // For signing and for the one header that carries it. Never for a log, a trace, or an error.
  [[nodiscard]] std::string_view reveal() const { return value_; }

private:
  void wipe() noexcept { tmpdump::wipe(value_); }
  std::string value_;
};

} // namespace tmpdump
