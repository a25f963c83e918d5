// SPDX-License-Identifier: Apache-2.0
// A static program: nothing is preloaded into it.
#include <stdio.h>

int main(void) {
  puts("static");
  return 0;
}
