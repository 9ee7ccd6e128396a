#ifndef STORE_GRAMS_H
#define STORE_GRAMS_H

#include "lib/base/slice.h"

/* Which four bytes in a row occur in some texts, as a set of hashes that says
 * "perhaps" or "no". Of each byte the bit that tells ASCII letters' case apart
 * is left out. Pure. */

#define GRAM_LEN    4
#define GRAMS_BYTES 8192

typedef struct grams {
  unsigned char bits[GRAMS_BYTES];
} grams;

/* A set begins all zero. */
void grams_add(grams *set, tti_slice text);

/* Whether it holds so much that it would say "perhaps" to nearly everything. */
bool grams_are_many(const grams *set);

/* False: none of the texts has `text` in it, in whichever case. */
bool grams_may_have(const grams *set, tti_slice text);

#endif
