// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <tmpdump.h>

int main(void) {
  puts(tmpdump_strerror(tmpdump_wait_file("/usr/lib/none.so", 0)));
  return tmpdump_wait_file("/usr/lib/none.so", 0) == TMPDUMP_NOT_IN_ARCHIVE ? 0 : 1;
}
