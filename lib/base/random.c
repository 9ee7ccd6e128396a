#include "lib/base/random.h"

#include <errno.h>
#include <sys/random.h>

void tti_random_bytes(void *out_bytes, size_t len) {
  unsigned char *at = out_bytes;
  while (len) {
    ssize_t got = getrandom(at, len, 0);
    if (got < 0 && errno == EINTR)
      continue;
    /* Linux has had getrandom since 3.17; it fails for no other reason. */
    if (got < 0)
      return;
    at += got;
    len -= (size_t)got;
  }
}

uint64_t tti_random_below(uint64_t bound) {
  uint64_t value = 0;
  tti_random_bytes(&value, sizeof(value));
  return value % bound;
}

void tti_uuid4(char out_text[TTI_UUID_TEXT]) {
  static const char hex[] = "0123456789abcdef";
  unsigned char bytes[16] = {0};
  tti_random_bytes(bytes, sizeof(bytes));
  bytes[6] = (unsigned char)((bytes[6] & 0x0f) | 0x40);
  bytes[8] = (unsigned char)((bytes[8] & 0x3f) | 0x80);
  char *at = out_text;
  for (int i = 0; i < 16; i++) {
    if (i == 4 || i == 6 || i == 8 || i == 10)
      *at++ = '-';
    *at++ = hex[bytes[i] >> 4];
    *at++ = hex[bytes[i] & 15];
  }
  *at = '\0';
}
