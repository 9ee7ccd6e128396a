#ifndef WEBHOOKS_CURSOR_H
#define WEBHOOKS_CURSOR_H

#include "lib/base/slice.h"
#include <stdint.h>

/* Where a page of a list ends, as text for the client to bring back. It is good
 * only for the list and the filters that it was made for.
 *
 *   "1" | hash of the list and its filters | at | last
 *         16 hex digits                      16   up to CURSOR_LAST_MAX */
#define CURSOR_LAST_MAX 40
#define CURSOR_TEXT     (1 + 16 + 16 + CURSOR_LAST_MAX + 1)

typedef struct cursor {
  int64_t at;     /* a time, or the order of rows; 0: the beginning */
  tti_slice last; /* an id of what is at that time, [A-Za-z0-9_-]; may be "" */
} cursor;

/* The list's name and its filters as one number, whatever stands in them. */
uint64_t cursor_hash(const char *list, const tti_slice *filters, size_t count);

/* `last` beyond CURSOR_LAST_MAX is cut off. */
void cursor_write(uint64_t hash, cursor where, char out_text[CURSOR_TEXT]);

/* False: it is no cursor, or of another list or other filters. `last` borrows
 * from the text. */
bool cursor_read(tti_slice text, uint64_t hash, cursor *out_where);

#endif
