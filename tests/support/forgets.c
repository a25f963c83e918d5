// SPDX-License-Identifier: Apache-2.0
// Loaded into a program, it forgets what it allocated: a leak that is the program's own to whoever looks for
// such.
#include <stdlib.h>

static void forget(size_t size) {
  volatile char* lost = malloc(size);
  if (lost != NULL) lost[0] = 1;
}

__attribute__((constructor)) static void forget_some(void) {
  for (size_t i = 1; i <= 100; ++i)
    forget(1000 * i);
}
