#ifndef TTI_BASE_SLICE_H
#define TTI_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Bytes of someone else's; not NUL-terminated unless its giver says so. */
typedef struct tti_slice {
  const char *ptr;
  size_t len;
} tti_slice;

#define TTI_SLICE(literal) ((tti_slice){"" literal, sizeof(literal) - 1})

static inline tti_slice tti_slice_of(const char *text) {
  return (tti_slice){text, text ? strlen(text) : 0};
}

static inline bool tti_slice_eq(tti_slice a, tti_slice b) {
  return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* ASCII letters compare without case. */
bool tti_slice_eq_nocase(tti_slice a, tti_slice b);

/* In the order of their bytes, the shorter one first: < 0, 0, > 0. */
int tti_slice_compare(tti_slice a, tti_slice b);

/* Single-character edits between two texts (Levenshtein), at most 64 bytes of
 * each looked at. */
unsigned tti_slice_distance(tti_slice a, tti_slice b);

/* Without leading and trailing space, tab, CR and LF. */
tti_slice tti_slice_trim(tti_slice s);

/* A decimal number of digits only that fits. */
bool tti_slice_to_u64(tti_slice s, unsigned long long *out_value);

/* Which of some names a text was meant to be. */
typedef struct tti_nearest {
  tti_slice text;
  unsigned distance;
  tti_slice name; /* the nearest so far; ptr NULL: none is near */
} tti_nearest;

tti_nearest tti_nearest_to(tti_slice text);
void tti_nearest_try(tti_nearest *near, tti_slice name);

#endif
