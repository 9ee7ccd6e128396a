#ifndef TTI_BASE_HASH_H
#define TTI_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* FNV-1a, 64 bits: for tables of our own, not against an adversary. */
static inline uint64_t tti_hash64(const void *bytes, size_t len) {
  const unsigned char *at = bytes;
  uint64_t hash = 0xcbf29ce484222325u;
  for (size_t i = 0; i < len; i++) {
    /* The analyzer loses arrays of constants across this loop. */
    hash ^= at[i]; /* NOLINT(clang-analyzer-core.uninitialized.Assign) */
    hash *= 0x100000001b3u;
  }
  return hash;
}

#endif
