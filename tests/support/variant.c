// SPDX-License-Identifier: Apache-2.0
// A library that says which variant of it runs.
const char* tmpdump_variant(void);
const char* tmpdump_variant(void) {
  return TMPDUMP_VARIANT;
}
