// SPDX-License-Identifier: Apache-2.0
// hosts(5), read by us because c-ares before 1.19 cannot be pointed at another file.
#pragma once

#include "net/address_book.h"

namespace tmpdump::net {

// Addresses of `name` (lower case) in the text of a hosts file, in its order; lines that make no sense are
// skipped.
Addresses find_in_hosts(std::string_view text, std::string_view name);

// The same for a file; a file that cannot be read has no names. Reads at most 1 MiB.
Addresses look_up_hosts_file(const std::string& file, std::string_view name);

} // namespace tmpdump::net
