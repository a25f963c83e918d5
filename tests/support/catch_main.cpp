// SPDX-License-Identifier: Apache-2.0
// Catch2 v2 (Debian 12) has no ready-made main; v3 links its own.
#define CATCH_CONFIG_MAIN
#include "support/catch.h"
