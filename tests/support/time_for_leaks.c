// SPDX-License-Identifier: Apache-2.0
// Part of tmpdump-prefetch in the presets with sanitizers. The farewell's timer ends a process that has not
// ended within 150 ms; to name a leak takes LeakSanitizer longer, and it would have the last word for
// nothing. What comes before that, up to the end of main(), keeps the limit.
#include <stdlib.h>
#include <sys/time.h>

static void take_your_time(void) {
  const struct itimerval none = {{0, 0}, {0, 0}};
  (void)setitimer(ITIMER_REAL, &none, NULL);
}

// The sanitizers' own end was registered before this, and so runs after it.
__attribute__((constructor)) static void at_end(void) {
  (void)atexit(take_your_time);
}
