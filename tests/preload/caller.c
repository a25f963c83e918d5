// SPDX-License-Identifier: Apache-2.0
// A library that loads others; its RUNPATH is $ORIGIN/inner.
#include <dlfcn.h>

void* load(const char* name);
void* load(const char* name) {
  void* volatile handle = dlopen(name, RTLD_NOW); // not a tail call: the loader shall see this library
  return handle;
}
