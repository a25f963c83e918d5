// SPDX-License-Identifier: Apache-2.0
// Environment variables that the exec wrapper and the preload shim share.
#ifndef TMPDUMP_SETTINGS_H
#define TMPDUMP_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

// How long one load, or the wait before the program under `eager`, may wait for a daemon that lives but does
// not come to an end. Its failure and its death are noticed without it, and a transfer without progress fails
// after 9 s, so this is a last resort: longer than INIT's 10 s, because the environment's second start has
// the function's whole time limit.
#define TMPDUMP_WAIT_TIMEOUT_DEFAULT_MS 60000
#define TMPDUMP_WAIT_TIMEOUT_MAX_S 3600

// Whole seconds in decimal, 0 to TMPDUMP_WAIT_TIMEOUT_MAX_S, as milliseconds.
static inline bool tmpdump_parse_timeout(const char* text, int* milliseconds) {
  int seconds = 0;
  const char* at = text;
  for (; *at >= '0' && *at <= '9' && seconds <= TMPDUMP_WAIT_TIMEOUT_MAX_S; ++at)
    seconds = seconds * 10 + (*at - '0');
  if (at == text || *at != '\0' || seconds > TMPDUMP_WAIT_TIMEOUT_MAX_S) return false;
  *milliseconds = seconds * 1000;
  return true;
}

#endif
