#ifndef HISTORY_NEEDLE_H
#define HISTORY_NEEDLE_H

#include "lib/event/record.h"

/* A text to look for within others. ASCII letters match without regard to
 * case; all other bytes as they are. Pure. */

#define NEEDLE_MAX 200

typedef struct needle {
  size_t len;                     /* 0: none, found in everything */
  unsigned char text[NEEDLE_MAX]; /* lower case */
  unsigned char skip[256];        /* by the last byte looked at */
} needle;

/* False: longer than NEEDLE_MAX bytes. */
bool needle_init(needle *n, tti_slice text);

bool needle_in(const needle *n, tti_slice text);

/* In the action or in the data, which is looked through as the JSON text that
 * was sent. */
bool needle_in_record(const needle *n, const tti_record *record);

/* The text, in lower case; borrowed. */
static inline tti_slice needle_text(const needle *n) {
  return (tti_slice){(const char *)n->text, n->len};
}

/* Equal needles have equal hashes; 0 for none. */
uint64_t needle_hash(const needle *n);

#endif
