// SPDX-License-Identifier: Apache-2.0
// A library whose constructor, which runs under the loader's lock, waits for a thread that lists a directory.
#include <dirent.h>
#include <pthread.h>
#include <stdlib.h>

static int listed;

static void* list(void* path) {
  struct dirent** names = NULL;
  const int count = scandir(path, &names, NULL, NULL);
  for (int i = 0; i < count; ++i)
    free(names[i]);
  free(names);
  listed = count > 0;
  return NULL;
}

__attribute__((constructor)) static void begin(void) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, list, "/etc") == 0) pthread_join(thread, NULL);
}

int leaf(void);
int leaf(void) {
  return listed;
}
