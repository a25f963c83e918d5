// SPDX-License-Identifier: Apache-2.0
// Forgets what it allocated: a test whose sanitizer does not say so would not say it of the others either.
#include <stdio.h>
#include <stdlib.h>

static void forget(size_t size) {
  volatile char* lost = malloc(size);
  if (lost != NULL) lost[0] = 1;
}

int main(int argc, char** argv) {
  (void)argv;
  for (int i = 0; i < 100; ++i)
    forget((size_t)argc * 1000U);
  return puts("ended") < 0;
}
