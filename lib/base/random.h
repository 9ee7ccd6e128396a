#ifndef TTI_BASE_RANDOM_H
#define TTI_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Bytes from the kernel's generator, fit for secrets. Blocks only before the
 * kernel is seeded. */
void tti_random_bytes(void *out_bytes, size_t len);

/* A random number below `bound` (> 0), for jitter. */
uint64_t tti_random_below(uint64_t bound);

#define TTI_UUID_TEXT 37

/* A version 4 UUID, lower case, NUL-terminated. RFC 9562. */
void tti_uuid4(char out_text[TTI_UUID_TEXT]);

#endif
