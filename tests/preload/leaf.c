// SPDX-License-Identifier: Apache-2.0
// A library without needs; TEST_ANSWER tells one build of it from another.
int leaf(void);
int leaf(void) {
  return TEST_ANSWER;
}
