#ifndef CLI_SPLIT_H
#define CLI_SPLIT_H

#include "lib/base/buf.h"

/* Takes a stream of JSON apart into its events, of any length in all: one
 * object, objects one after the other (NDJSON or spread over lines), or an
 * array of objects. It only finds where an item ends; whether it is right is
 * the server's to say. */
typedef struct splitter {
  tti_buf item; /* the item being read; at most max_item_bytes */
  unsigned depth;
  bool in_string;
  bool escaped;
  bool in_array; /* within the outermost [ ] */
  bool closed;   /* the outermost array has ended */
  size_t offset; /* bytes taken so far */
} splitter;

void splitter_init(splitter *s, size_t max_item_bytes);
void splitter_fini(splitter *s);

typedef enum split_result {
  SPLIT_MORE, /* all bytes were taken; the item is not complete */
  SPLIT_ITEM, /* s->item is one item: use it, then call splitter_next */
  SPLIT_BAD   /* at s->offset stands what cannot begin an item */
} split_result;

/* Takes bytes off the front of *rest until an item is complete. */
split_result splitter_take(splitter *s, tti_slice *rest);

/* Forgets the item that was complete. */
void splitter_next(splitter *s);

/* At the end of input: whether nothing was left half read. */
bool splitter_at_end(const splitter *s);

#endif
