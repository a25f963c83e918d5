// SPDX-License-Identifier: Apache-2.0
// What pack/ links of others beyond what fetching needs, for --version.
#pragma once

#include <libdeflate.h>

#define TMPDUMP_PACK_DEPENDENCIES "libdeflate " LIBDEFLATE_VERSION_STRING
