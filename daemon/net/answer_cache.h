// SPDX-License-Identifier: Apache-2.0
// What names resolved to, for as long as that may be believed. Pure: the time is given.
#pragma once

#include "net/address_book.h"

#include <map>
#include <string>

namespace tmpdump::net {

class AnswerCache {
public:
  // Whatever the TTL is. Up: a name that has moved is found later; down: each connection asks, as S3's TTLs
  // are a few seconds.
  static constexpr std::chrono::milliseconds most{300'000};
  explicit AnswerCache(std::chrono::milliseconds least) : least_(least) {}

  // Null: not known, or no longer. Good until the next call.
  const Addresses* find(const std::string& name, Clock::time_point now);
  void keep(const std::string& name, Addresses addresses, std::chrono::milliseconds ttl,
            Clock::time_point now);
  void forget(const std::string& name) { entries_.erase(name); }

private:
  struct Entry {
    Addresses addresses;
    Clock::time_point expires;
  };
  std::chrono::milliseconds least_;
  std::map<std::string, Entry> entries_;
};

} // namespace tmpdump::net
