// SPDX-License-Identifier: Apache-2.0
// The native half of java/tmpdump/Tmpdump.java. Four functions of the JNI are used, by their index in the
// function table, which the JNI specification fixes (chapter 4, "Interface Function Table"; the same
// since 1.1): so the library builds without a JDK. Strings cross as UTF-8 in byte arrays: JNI's own are
// "modified UTF-8".
#include "internal.h"

typedef void* const* const* Environment; // JNIEnv*: points to a pointer to the table
typedef void* Object;

enum {
  get_array_length = 171,
  new_byte_array = 176,
  get_byte_array_region = 200,
  set_byte_array_region = 208
};

// POSIX guarantees, for dlsym's sake, the conversion to a function pointer that ISO C leaves out.
#define CALL(environment, index, result, ...) ((result(*)(__VA_ARGS__))(*(environment))[index])

static Object bytes_of(Environment environment, const char* text, size_t size) {
  const int32_t length = (int32_t)size;
  Object array = CALL(environment, new_byte_array, Object, Environment, int32_t)(environment, length);
  if (array != NULL) { // else an OutOfMemoryError is pending
    CALL(environment, set_byte_array_region, void, Environment, Object, int32_t, int32_t, const char*)
    (environment, array, 0, length, text);
  }
  return array;
}

TMPDUMP_API int32_t Java_tmpdump_Tmpdump_wait0(Environment environment, Object type, int32_t timeout_ms);
TMPDUMP_API int32_t Java_tmpdump_Tmpdump_waitFile0(Environment environment, Object type, Object path,
                                                   int32_t timeout_ms);
TMPDUMP_API Object Java_tmpdump_Tmpdump_describe0(Environment environment, Object type, int32_t code);

int32_t Java_tmpdump_Tmpdump_wait0(Environment environment, Object type, int32_t timeout_ms) {
  (void)environment;
  (void)type;
  return tmpdump_wait(timeout_ms);
}

int32_t Java_tmpdump_Tmpdump_waitFile0(Environment environment, Object type, Object path,
                                       int32_t timeout_ms) {
  (void)type;
  if (path == NULL) return TMPDUMP_INVALID;
  const int32_t length = CALL(environment, get_array_length, int32_t, Environment, Object)(environment, path);
  char text[PATH_MAX];
  if (length <= 0 || length >= PATH_MAX) return TMPDUMP_INVALID;
  CALL(environment, get_byte_array_region, void, Environment, Object, int32_t, int32_t, char*)
  (environment, path, 0, length, text);
  text[length] = '\0';
  if (memchr(text, '\0', (size_t)length) != NULL) return TMPDUMP_INVALID;
  return tmpdump_wait_file(text, timeout_ms);
}

// The code's meaning; for a failure the daemon's reason instead, when there is one.
Object Java_tmpdump_Tmpdump_describe0(Environment environment, Object type, int32_t code) {
  (void)type;
  char reason[sizeof(((struct tmpdump_manifest_header*)NULL)->reason) + 1];
  const size_t length = code == TMPDUMP_FAILED ? tmpdump_reason(reason, sizeof reason) : 0;
  if (length > 0) return bytes_of(environment, reason, length);
  const char* meaning = tmpdump_strerror(code);
  return bytes_of(environment, meaning, strlen(meaning));
}
