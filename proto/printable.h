// SPDX-License-Identifier: Apache-2.0
// What of a text may be shown to a person as it is, for names and reasons that anybody may have written: a
// line of a log must be one line, in the order in which it is read, and must not move a terminal's cursor.
// Header-only so that the C client and the C++ side agree. C11 and C++20.
#ifndef TMPDUMP_PROTO_PRINTABLE_H
#define TMPDUMP_PROTO_PRINTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Unicode 16's general categories Cc (controls beyond ASCII), Zl, Zp (separators of lines and paragraphs) and
// Cf (format: what turns the direction of a text, is invisible, or joins what stands beside it).
static inline bool tmpdump_is_unprintable(uint32_t code_point) {
  static const struct {
    uint32_t first, last;
  } ranges[] = {
      {0x80, 0x9F},       {0xAD, 0xAD},       {0x600, 0x605},     {0x61C, 0x61C},     {0x6DD, 0x6DD},
      {0x70F, 0x70F},     {0x890, 0x891},     {0x8E2, 0x8E2},     {0x180E, 0x180E},   {0x200B, 0x200F},
      {0x2028, 0x202E},   {0x2060, 0x2064},   {0x2066, 0x206F},   {0xFEFF, 0xFEFF},   {0xFFF9, 0xFFFB},
      {0x110BD, 0x110BD}, {0x110CD, 0x110CD}, {0x13430, 0x1343F}, {0x1BCA0, 0x1BCA3}, {0x1D173, 0x1D17A},
      {0xE0001, 0xE0001}, {0xE0020, 0xE007F},
  };
  for (size_t i = 0; i < sizeof ranges / sizeof *ranges; ++i) {
    if (code_point <= ranges[i].last) return code_point >= ranges[i].first;
  }
  return false;
}

// Bytes of the character at the front of `text` that may be shown; 0: its first byte may not, be it a control
// character, one of the above, or no UTF-8 (RFC 3629: no overlong forms, no surrogates). What follows the
// first byte of such a one is none either. `size` is not 0.
static inline size_t tmpdump_printable_length(const char* text, size_t size) {
  const unsigned char lead = (unsigned char)text[0];
  if (lead < 0x80U) return lead >= 0x20U && lead != 0x7FU ? 1 : 0;
  const size_t length = lead >= 0xF0U ? 4 : lead >= 0xE0U ? 3 : 2;
  if (lead < 0xC2U || lead > 0xF4U || length > size) return 0;
  uint32_t code_point = lead & (0x7FU >> length);
  for (size_t i = 1; i < length; ++i) {
    const unsigned char next = (unsigned char)text[i];
    if ((next & 0xC0U) != 0x80U) return 0;
    code_point = (code_point << 6U) | (next & 0x3FU);
  }
  const bool overlong = (length == 3 && code_point < 0x800U) || (length == 4 && code_point < 0x10000U);
  const bool surrogate = code_point >= 0xD800U && code_point <= 0xDFFFU;
  if (overlong || surrogate || code_point > 0x10FFFFU) return 0;
  return tmpdump_is_unprintable(code_point) ? 0 : length;
}

#endif
