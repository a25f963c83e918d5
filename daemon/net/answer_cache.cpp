// SPDX-License-Identifier: Apache-2.0
#include "net/answer_cache.h"

#include <algorithm>

namespace tmpdump::net {

const Addresses* AnswerCache::find(const std::string& name, Clock::time_point now) {
  std::erase_if(entries_, [&](const auto& entry) { return entry.second.expires <= now; });
  const auto hit = entries_.find(name);
  return hit == entries_.end() ? nullptr : &hit->second.addresses;
}

void AnswerCache::keep(const std::string& name, Addresses addresses, std::chrono::milliseconds ttl,
                       Clock::time_point now) {
  entries_.insert_or_assign(name, Entry{std::move(addresses), now + std::clamp(ttl, least_, most)});
}

} // namespace tmpdump::net
