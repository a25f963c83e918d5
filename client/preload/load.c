// SPDX-License-Identifier: Apache-2.0
// dlopen and dlmopen. The loader takes the caller's namespace, RPATH, RUNPATH and $ORIGIN from the address
// that the call returns to, so these must end in a jump, not in a call: built with -O2 always
// (CMakeLists.txt), and preload_test.py sees a RUNPATH work.
#include "preload/shim.h"

#include <dlfcn.h>

#define EXPORTED __attribute__((visibility("default")))

typedef void* load_function(const char*, int);
typedef void* load_into_function(Lmid_t, const char*, int);

EXPORTED void* dlopen(const char* file, int mode) {
  load_function* const load = (load_function*)TMPDUMP_NEXT("dlopen");
  if (load == NULL) return NULL;
  tmpdump_shim_await_load(file, mode, __builtin_return_address(0));
  return load(file, mode);
}

EXPORTED void* dlmopen(Lmid_t space, const char* file, int mode) {
  load_into_function* const load = (load_into_function*)TMPDUMP_NEXT("dlmopen");
  if (load == NULL) return NULL;
  tmpdump_shim_await_load(file, mode, __builtin_return_address(0));
  return load(space, file, mode);
}
