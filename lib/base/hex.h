#ifndef TTI_BASE_HEX_H
#define TTI_BASE_HEX_H

#include <stddef.h>

/* Lower-case hexadecimal, two digits a byte, and a NUL. */
static inline void tti_hex(const unsigned char *bytes, size_t len,
                           char *out_text) {
  static const char digits[] = "0123456789abcdef";
  for (size_t i = 0; i < len; i++) {
    *out_text++ = digits[bytes[i] >> 4];
    *out_text++ = digits[bytes[i] & 15];
  }
  *out_text = '\0';
}

#endif
