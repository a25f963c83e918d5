// SPDX-License-Identifier: Apache-2.0
// Where relative names lead. Asking the kernel costs more than a path elsewhere may, so that the current
// directory is not near the destination is remembered until it changes.
#include "preload/shim.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

// Relative names are known to lead elsewhere, and also after the destination's other name was known, which a
// manifest tells. The higher bits count changes, so that an answer that was asked for before a change is not
// remembered after it.
#define ELSEWHERE UINT64_C(1)
#define BY_BOTH_NAMES UINT64_C(2)
#define CHANGE UINT64_C(4)
static uint64_t position;

void tmpdump_shim_moved(void) {
  uint64_t seen = __atomic_load_n(&position, __ATOMIC_ACQUIRE);
  while (!__atomic_compare_exchange_n(&position, &seen, (seen & ~(ELSEWHERE | BY_BOTH_NAMES)) + CHANGE, false,
                                      __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
  }
}

static size_t ask_current(char* full) {
  uint64_t seen = __atomic_load_n(&position, __ATOMIC_ACQUIRE);
  const uint64_t known = tmpdump_shim_has_other_name() ? ELSEWHERE | BY_BOTH_NAMES : ELSEWHERE;
  if ((seen & known) == known) return 0;
  const long size = syscall(SYS_getcwd, full, PATH_MAX); // with its NUL; "(unreachable)..." has no slash
  if (size <= 1 || full[0] != '/') return 0;
  if (tmpdump_shim_is_near(full)) return (size_t)size - 1;
  (void)__atomic_compare_exchange_n(&position, &seen, seen | known, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE);
  return 0;
}

static size_t ask_descriptor(int directory, char* full) {
  char link[32] = "/proc/self/fd/";
  char* end = link + 14;
  if (directory < 0) return 0;
  for (int rest = directory, scale = 1000000000; scale > 0; scale /= 10) {
    if (directory >= scale || scale == 1) *end++ = (char)('0' + rest / scale);
    rest %= scale;
  }
  *end = '\0';
  const long size = syscall(SYS_readlinkat, AT_FDCWD, link, full, PATH_MAX - 1);
  if (size <= 0 || full[0] != '/') return 0;
  full[size] = '\0';
  return tmpdump_shim_is_near(full) ? (size_t)size : 0;
}

bool tmpdump_shim_absolute(int directory, const char* path, char* full) {
  size_t size = directory == AT_FDCWD ? ask_current(full) : ask_descriptor(directory, full);
  if (size == 0) return false;
  while (size > 0 && full[size - 1] == '/')
    --size;
  const size_t rest = strlen(path);
  if (rest >= PATH_MAX - size - 1) return false;
  full[size] = '/';
  memcpy(full + size + 1, path, rest + 1);
  return true;
}
