// SPDX-License-Identifier: Apache-2.0
// The library of the examples, in the place of a large one. For an archive of it:
//   mkdir lib && cc -shared -fPIC -o lib/libexample.so example.c && tmpdump pack lib -o tmpdump.zip
int answer(void);
int answer(void) {
  return 42;
}

// `native int answer()` of the Java class example.Handler; the two are JNIEnv and the class.
int Java_example_Handler_answer(void* environment, void* type);
int Java_example_Handler_answer(void* environment, void* type) {
  (void)environment;
  (void)type;
  return answer();
}
