#ifndef TTI_FLEET_HASH_H
#define TTI_FLEET_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Eight bytes a step, with a secret seed: keys may hold what strangers send,
 * who are not to choose which ones share a slot. */

static inline uint64_t tti_fleet_mix(uint64_t a, uint64_t b) {
  __extension__ typedef unsigned __int128 wide;
  wide product = (wide)a * b;
  return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t tti_fleet_hash(uint64_t seed, const char *text,
                                      size_t len) {
  const uint64_t odd = 0x9e3779b97f4a7c15u;
  uint64_t hash = seed ^ len, word;
  for (; len >= 8; text += 8, len -= 8) {
    memcpy(&word, text, 8);
    hash = tti_fleet_mix(hash ^ word, odd);
  }
  if (len >= 4) {
    uint32_t head, tail;
    memcpy(&head, text, 4);
    memcpy(&tail, text + len - 4, 4);
    word = (uint64_t)head << 32 | tail;
  } else {
    word = 0;
    for (size_t i = 0; i < len; i++)
      word = word << 8 | (unsigned char)text[i];
  }
  return tti_fleet_mix(hash ^ word, odd ^ seed);
}

#endif
