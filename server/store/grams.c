#include "server/store/grams.h"

#include <stdint.h>

#define BITS (8 * GRAMS_BYTES)

/* The bit of the four bytes there, the same on every machine. */
static uint32_t bit_of(const char *at) {
  const unsigned char *c = (const unsigned char *)at;
  uint32_t gram =
      c[0] | (uint32_t)c[1] << 8 | (uint32_t)c[2] << 16 | (uint32_t)c[3] << 24;
  return (gram | 0x20202020u) * 0x9e3779b1u / (UINT32_MAX / BITS + 1);
}

void grams_add(grams *set, tti_slice text) {
  for (size_t i = GRAM_LEN; i <= text.len; i++) {
    uint32_t bit = bit_of(text.ptr + i - GRAM_LEN);
    set->bits[bit / 8] |= (unsigned char)(1u << bit % 8);
  }
}

bool grams_are_many(const grams *set) {
  size_t count = 0;
  for (size_t i = 0; i < GRAMS_BYTES; i++)
    count += (size_t)__builtin_popcount(set->bits[i]);
  return count > BITS / 2;
}

bool grams_may_have(const grams *set, tti_slice text) {
  for (size_t i = GRAM_LEN; i <= text.len; i++) {
    uint32_t bit = bit_of(text.ptr + i - GRAM_LEN);
    if (!(set->bits[bit / 8] & 1u << bit % 8))
      return false;
  }
  return true;
}
