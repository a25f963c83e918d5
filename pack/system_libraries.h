// SPDX-License-Identifier: Apache-2.0
// Which libraries a function finds on Lambda without bringing them.
#pragma once

#include <string_view>

namespace tmpdump::pack {

enum class Presence { yes, no, unsure };

struct SystemLibrary {
  // Amazon Linux 2 (java8.al2, java11, java17, provided.al2) and 2023 (java8.al2023, java11.al2023,
  // java17.al2023, java21 on, provided.al2023).
  Presence al2 = Presence::no, al2023 = Presence::no;
  std::string_view note; // where a presence is not the whole story
};

// By file name, "libz.so.1". What is in no list is Presence::no.
SystemLibrary system_library(std::string_view name);

std::string_view to_string(Presence presence);

} // namespace tmpdump::pack
