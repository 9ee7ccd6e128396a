#ifndef HISTORY_SEARCH_H
#define HISTORY_SEARCH_H

#include "lib/event/view.h"
#include "server/history/needle.h"
#include "server/history/page.h"
#include "server/store/store.h"

/* Gathers one page of rows, rendered, out of bounded reads of the store. Pure
 * but for the reads, which its owner submits one after the other. */
typedef struct search {
  store_read read; /* what to read next */
  page page;
  page bounds; /* as the client gave them: what cursors are bound to */
  unsigned kinds;
  tti_filter *filter; /* owned */
  tti_view view;
  needle needle; /* in action or data */

  tti_buf items;  /* the rows as JSON, in the order they were read */
  size_t *starts; /* owned; where each begins */
  size_t count;
  uint64_t last_seq; /* of the last item */
  bool more;         /* there is at least one row beyond the page */
  bool cut;          /* time or memory ran out before the page was full */
} search;

/* Bytes of rendered rows that one answer holds at most. */
#define SEARCH_MAX_BYTES ((size_t)8 << 20)

/* Takes the filter over, also on failure. `looked_for` (may be NULL) is copied;
 * `from` is where to begin, `bounds` what was asked for. The search stays where
 * it is until search_fini. TT_ENOMEM. */
tt_error search_init(search *s, tti_filter *filter, unsigned kinds,
                     const needle *looked_for, tti_view view, const page *from,
                     const page *bounds);
void search_fini(search *s);

/* Takes in what the read found; false: the page is done. With true s->read is
 * set for the next read. `in_time`: another one may be made. */
bool search_take(search *s, bool in_time);

/* "[…]", in ascending order of seq. */
void search_items(const search *s, tti_buf *out);
/* {"items": […], "next_cursor": …} */
void search_page(const search *s, tti_buf *out);

#endif
