// SPDX-License-Identifier: Apache-2.0
// A library that needs libleaf.so, which lies beside it.
int leaf(void);
int branch(void);
int branch(void) {
  return leaf() + 1;
}
